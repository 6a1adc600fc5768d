"""Training hooks, one duty each."""

from .channels_last_hook import ChannelsLastHook
from .resolve_person_ids_hook import ResolvePersonIdsHook

__all__ = ['ChannelsLastHook', 'ResolvePersonIdsHook']

"""Training hooks, one duty each."""

from .resolve_person_ids_hook import ResolvePersonIdsHook

__all__ = ['ResolvePersonIdsHook']

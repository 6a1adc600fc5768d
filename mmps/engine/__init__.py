"""Hooks and optimizer wrappers of mmps."""

from .hooks import ChannelsLastHook, ResolvePersonIdsHook
from .optim_wrappers import BF16OptimWrapper

__all__ = ['BF16OptimWrapper', 'ChannelsLastHook', 'ResolvePersonIdsHook']

"""Hooks and optimizer wrappers of mmps."""

from .hooks import ResolvePersonIdsHook
from .optim_wrappers import BF16OptimWrapper

__all__ = ['BF16OptimWrapper', 'ResolvePersonIdsHook']

"""Hooks and optimizer wrappers of mmps."""

from .hooks import *  # noqa: F403
from .hooks import __all__ as _hooks
from .optim_wrappers import BF16OptimWrapper

__all__ = ['BF16OptimWrapper', *_hooks]

"""Hooks, optimizers and their wrappers of mmps."""

from .hooks import *  # noqa: F403
from .hooks import __all__ as _hooks
from .optim_wrappers import BF16OptimWrapper
from .optimizers import FusedAdamW

__all__ = ['BF16OptimWrapper', 'FusedAdamW', *_hooks]

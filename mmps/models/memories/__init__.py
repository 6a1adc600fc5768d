"""Identity memories and their update and queue rules."""

from .grouping import IdGroups
from .identity_memory import IdentityMemory
from .queue_rules import BaseQueueRule, CircularQueue, SelectiveRefreshQueue
from .readout import MemoryReadout, needs_cosines
from .scene_memory import SceneMemory
from .update_rules import (
    AdaptiveMomentumUpdate,
    BaseUpdateRule,
    LocalizationAwareUpdate,
    MomentumUpdate,
)

__all__ = [
    'AdaptiveMomentumUpdate',
    'BaseQueueRule',
    'BaseUpdateRule',
    'CircularQueue',
    'IdGroups',
    'IdentityMemory',
    'LocalizationAwareUpdate',
    'MemoryReadout',
    'MomentumUpdate',
    'SceneMemory',
    'SelectiveRefreshQueue',
    'needs_cosines',
]

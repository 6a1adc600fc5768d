"""Identity memories and their update and queue rules."""

from .grouping import IdGroups
from .identity_memory import IdentityMemory
from .queue_rules import BaseQueueRule, CircularQueue
from .readout import MemoryReadout
from .update_rules import BaseUpdateRule, MomentumUpdate

__all__ = [
    'BaseQueueRule',
    'BaseUpdateRule',
    'CircularQueue',
    'IdGroups',
    'IdentityMemory',
    'MemoryReadout',
    'MomentumUpdate',
]

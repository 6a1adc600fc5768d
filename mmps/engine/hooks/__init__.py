"""Hooks, one duty each."""

from .channels_last_hook import ChannelsLastHook
from .checkpoint_hook import CheckpointHook
from .compile_hook import CompileHook
from .finite_loss_hook import FiniteLossHook
from .resolve_person_ids_hook import ResolvePersonIdsHook
from .results_hook import ResultsHook
from .resume_hook import ResumeHook
from .strict_load_hook import StrictLoadHook

__all__ = [
    'ChannelsLastHook',
    'CheckpointHook',
    'CompileHook',
    'FiniteLossHook',
    'ResolvePersonIdsHook',
    'ResultsHook',
    'ResumeHook',
    'StrictLoadHook',
]

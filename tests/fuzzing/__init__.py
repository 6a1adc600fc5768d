"""Fuzzing: damaged files for every reader, and checks of the results.

A case is a target (what is read) and bytes that choose the edits of the
target's valid files. So a fault that the tests or ``tests/fuzz.py`` find is
repeated by its bytes, and hypothesis, which draws them, looks for simpler
ones.
"""

from .cases import FAULT, CaseRunner, Outcome
from .checks import WrongResultError
from .damage import CASES, damaged
from .process import GuardedRunner
from .targets import TARGETS, Target

__all__ = [
    'CASES',
    'FAULT',
    'TARGETS',
    'CaseRunner',
    'GuardedRunner',
    'Outcome',
    'Target',
    'WrongResultError',
    'damaged',
]

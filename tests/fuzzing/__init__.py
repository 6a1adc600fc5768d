"""Damaged files for every reader, and what the readers make of them.

A case is a target (what is read) and a list of seeds, one for each edit of
the target's valid files. So a fault found anywhere, by the tests or by
``tests/fuzz.py``, is repeated by its seeds.
"""

from .cases import CaseRunner, Outcome, fewest_edits
from .checks import WrongResultError
from .process import GuardedRunner
from .targets import TARGETS, Target

__all__ = [
    'TARGETS',
    'CaseRunner',
    'GuardedRunner',
    'Outcome',
    'Target',
    'WrongResultError',
    'fewest_edits',
]

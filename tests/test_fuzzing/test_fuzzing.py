"""Damage is repeatable, and every sort of fault is noticed."""

import importlib
from pathlib import Path

import pytest

from fuzzing import (
    TARGETS,
    CaseRunner,
    GuardedRunner,
    Outcome,
    Target,
    fewest_edits,
)
from fuzzing.edits import edited

# Reads a file; of a damaged one it does what its name says.
PLANTED = """
import os, signal, time
import numpy as np

VALID = b'0123456789' * 20

def write(folder):
    (folder / 'a.bin').write_bytes(VALID)

def damaged(folder):
    path = folder / 'a.bin'
    return not path.is_file() or path.read_bytes() != VALID

def crash(folder):
    if damaged(folder):
        os.kill(os.getpid(), signal.SIGSEGV)
    return 'valid'

def leave(folder):
    if damaged(folder):
        os._exit(3)
    return 'valid'

def hang(folder):
    if damaged(folder):
        time.sleep(60)
    return 'valid'

def memory(folder):
    if damaged(folder):
        bytearray(2**31)
    return 'valid'

def error(folder):
    if damaged(folder):
        raise RuntimeError('unexpected')
    return 'valid'

def silent(folder):
    if damaged(folder):
        raise ValueError
    return 'valid'

def warning(folder):
    if damaged(folder):
        np.array([1e300]).astype(np.int64)
    return 'valid'

def refuse(folder):
    if damaged(folder):
        raise ValueError('damaged')
    return 'valid'

def other(folder):
    return 'damaged' if damaged(folder) else 'valid'
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / 'planted_faults.py').write_text(PLANTED)
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module('planted_faults')
    return lambda name: Target(
        name, module.write, getattr(module, name), (ValueError,)
    )


@pytest.mark.parametrize(
    ('name', 'kind', 'detail'),
    [
        ('crash', 'fault', 'crash: SIGSEGV'),
        ('leave', 'fault', 'crash: exit 3'),
        ('hang', 'fault', 'hang: more than 1 s'),
        ('memory', 'fault', 'MemoryError: '),
        ('error', 'fault', 'RuntimeError: unexpected'),
        ('silent', 'fault', 'ValueError: '),
        ('warning', 'fault', 'RuntimeWarning: '),
        ('refuse', 'refused', 'ValueError: damaged'),
        ('other', 'other', ''),
    ],
)
def test_outcomes(planted, name, kind, detail):
    with GuardedRunner(planted(name), seconds=1, memory=2**30) as runner:
        assert runner.run([]) == Outcome('same')
        outcome = runner.run([1, 2, 3])
        assert outcome.kind == kind
        assert outcome.detail.startswith(detail)
        # It goes on, in another child if need be.
        assert runner.run([]) == Outcome('same')


@pytest.mark.parametrize('name', TARGETS)
def test_damage_is_repeatable_and_leaves_no_trace(name, tmp_path):
    runner = CaseRunner(TARGETS[name], tmp_path / 'files')
    valid = dict(runner.files)
    # The same bytes every time, so that seeds mean the same everywhere.
    assert CaseRunner(TARGETS[name], tmp_path / 'again').files == valid
    assert runner.run([]) == Outcome('same')
    changed, per_file = 0, set()
    for seed in range(60):
        once, again = edited(valid, [seed]), edited(valid, [seed])
        assert once == again
        found = {key for key in valid if once.get(key) != valid[key]}
        assert len(found) <= 2
        changed += bool(found)
        per_file |= found
    assert changed > 45
    assert per_file == set(valid)
    runner.run([5, 6, 7])
    assert runner.files == valid
    assert runner.run([]) == Outcome('same')


def test_two_edits_follow_each_other():
    files = {'a.txt': b'1 2 3\n4 5 6\n', 'b.json': b'{"a": [1, 2]}'}
    for seed in range(40):
        one = edited(files, [seed])
        assert edited(files, [seed, 9]) != files
        assert edited(files, []) == files
        assert files == {
            'a.txt': b'1 2 3\n4 5 6\n',
            'b.json': b'{"a": [1, 2]}',
        }
        assert one.keys() <= files.keys()


def test_fewest_edits():
    class Runner:
        def run(self, seeds):
            fault = {3, 5} <= set(seeds)
            return Outcome('fault' if fault else 'same')

    assert fewest_edits(Runner(), [1, 3, 4, 5, 6]) == [3, 5]
    assert fewest_edits(Runner(), [5, 3]) == [5, 3]

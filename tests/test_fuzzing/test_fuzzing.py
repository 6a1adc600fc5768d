"""Tests of fuzzing: repeatable damage, and every sort of fault noticed."""

import importlib
from pathlib import Path

import pytest

from fuzzing import TARGETS, CaseRunner, GuardedRunner, Outcome, Target, cases
from fuzzing.damage import FOLDER, MISSING

# The first of all edits that there are.
DAMAGE = b'\0\1'

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


@pytest.mark.slow
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
        assert runner.run(b'') == Outcome('same')
        outcome = runner.run(DAMAGE)
        assert outcome.kind == kind
        assert outcome.detail.startswith(detail)
        # It goes on, in another child if need be.
        assert runner.run(b'') == Outcome('same')


@pytest.mark.parametrize('name', TARGETS)
def test_damage_is_repeatable_and_leaves_no_trace(name, draw_damage, tmp_path):
    runner = CaseRunner(TARGETS[name], tmp_path / 'files')
    valid = dict(runner.files)
    # The same bytes every time, so that a case means the same everywhere.
    assert CaseRunner(TARGETS[name], tmp_path / 'again').files == valid
    assert runner.run(b'') == Outcome('same')
    found = draw_damage(valid, 100)
    assert draw_damage(valid, 100) == found
    assert valid == runner.files
    assert all(valid[k] != changes[k] for changes in found for k in changes)
    assert {name for changes in found for name in changes} == set(valid)
    assert sum(map(bool, found)) > 80
    assert sum(len(changes) > 1 for changes in found) > 10 or len(valid) < 2
    runner.run(bytes(range(96)))
    assert runner.files == valid
    assert runner.run(b'') == Outcome('same')


@pytest.mark.parametrize('content', [FOLDER, MISSING, b'', b'12'])
def test_damaged_files_are_written(content, planted, monkeypatch, tmp_path):
    runner = CaseRunner(planted('other'), tmp_path / 'files')
    path = tmp_path / 'files/a.bin'
    changes = {'a.bin': content}
    for _ in range(2):
        monkeypatch.setattr(cases, 'damaged', lambda *_: changes)
        runner.write(b'any')
        assert path.is_dir() == (content == FOLDER)
        assert path.exists() == (content != MISSING)
        if isinstance(content, bytes):
            assert path.read_bytes() == content
        monkeypatch.undo()
        runner.write(b'')
        assert path.read_bytes() == runner.files['a.bin']

"""Tests of the fuzzer as a command."""

import itertools
import json
import math
from types import SimpleNamespace

import pytest

from fuzzing import TARGETS, CaseRunner, Outcome, Target, damaged

# A reader that checks nothing, and does not read everything.
GULLIBLE = """
def write(folder):
    (folder / 'count.txt').write_text('2 30 40 50')
    (folder / 'unread.txt').write_text('1 2 3')

def read(folder):
    place, *values = map(int, (folder / 'count.txt').read_bytes().split())
    (folder / 'count.txt').write_text('2 30 40 50')
    return repr(values[place])
"""


@pytest.fixture
def gullible(tmp_path, monkeypatch):
    (tmp_path / 'gullible.py').write_text(GULLIBLE)
    monkeypatch.syspath_prepend(tmp_path)
    import gullible

    target = Target('gullible', gullible.write, gullible.read, (OSError,))
    monkeypatch.setitem(TARGETS, 'gullible', target)


@pytest.fixture
def fuzz_tool(tool):
    return tool('../tests/fuzz.py')


@pytest.mark.slow
def test_readers_have_no_fault(cli, tmp_path):
    out = tmp_path / 'out.json'
    status, err = cli(
        '../tests/fuzz.py', 'lsps', 'predictions', '--count', 40,
        '--seed', 7, '--out-json', out,
    )  # fmt: skip
    assert status == 0, err
    rows = json.loads(out.read_text())
    assert [row['target'] for row in rows] == ['lsps', 'predictions']
    for row in rows:
        kinds = [row[k] for k in ('same', 'other', 'refused', 'fault')]
        assert row['cases'] == sum(kinds) == 40
        assert row['refused'] > 10
        assert row['faults'] == {}


@pytest.mark.slow
def test_a_fault_is_made_simple_written_and_repeated(cli, gullible, tmp_path):
    folder, out = tmp_path / 'faults', tmp_path / 'out.json'
    status, _ = cli(
        '../tests/fuzz.py', 'gullible', '--count', 60,
        '--out-dir', folder, '--out-json', out,
    )  # fmt: skip
    assert status == 1
    (row,) = json.loads(out.read_text())
    # What only looks for less damage is no case.
    assert row['cases'] == 60
    assert row['fault'] >= len(row['faults']) > 1
    notes = sorted(folder.glob('*/fault.json'))
    assert len(notes) == len(row['faults'])
    kinds = {detail.partition(':')[0] for detail in row['faults']}
    assert kinds == {'ValueError', 'IndexError'}
    for path in notes:
        note = json.loads(path.read_text())
        assert note['target'] == 'gullible'
        assert row['faults'][note['detail']] == note['repeat']
        # What is not read is not damaged any more: one edit is enough.
        files = path.parent / 'files'
        assert (files / 'unread.txt').read_text() == '1 2 3'
        runner = CaseRunner(TARGETS['gullible'], tmp_path / 'again')
        case = bytes.fromhex(note['repeat'])
        assert list(damaged(runner.files, case)) == ['count.txt']
        outcome = runner.run(case)
        assert (outcome.kind, outcome.detail) == ('fault', note['detail'])
        # The files are those that the reader stumbled over.
        runner.write(case)
        damage = (runner.folder / 'count.txt').read_bytes()
        assert (files / 'count.txt').read_bytes() == damage
    (case,) = (v for k, v in row['faults'].items() if 'invalid' in k)
    status, err = cli('../tests/fuzz.py', 'gullible', '--repeat', case)
    assert status == 2
    assert 'invalid literal' in err


def test_options(cli):
    for args, message in (
        (['nothing'], 'no target nothing; there are prw'),
        (['--count', 0], 'expected more than 0'),
        (['--repeat', '01'], 'expected one target'),
        (['prw', '--repeat', 'x'], 'argument --repeat: invalid'),
    ):
        status, err = cli('../tests/fuzz.py', *args)
        assert status == 2
        assert message in err


def test_cases_follow_from_the_seed(fuzz_tool):
    def found(name: str, seed: int) -> list[bytes]:
        runner, args = Runner('same'), SimpleNamespace(count=30, seed=seed)
        fuzz_tool.next_fault(runner, fuzz_tool.Tally(name), args, math.inf)
        return runner.seen

    first = found('a', 0)
    assert found('a', 0) == first
    assert len(set(first)) == 30
    # Simplest is the first of all.
    for other in (found('a', 1), found('b', 0)):
        assert not set(other[1:]) & set(first[1:])


@pytest.fixture
def clock(fuzz_tool, monkeypatch):
    """The tool's own clock, a second later whenever it is asked."""
    ticks = itertools.count()
    fake = SimpleNamespace(monotonic=lambda: next(ticks))
    monkeypatch.setattr(fuzz_tool, 'time', fake)


class Runner:
    """Says what is planned, then the last of it for ever."""

    def __init__(self, *kinds: str) -> None:
        self.kinds = list(kinds)
        self.seen: list[bytes] = []

    def run(self, case: bytes) -> Outcome:
        self.seen.append(case)
        kinds = self.kinds
        kind = kinds.pop(0) if len(kinds) > 1 else kinds[0]
        return Outcome(kind, f'{kind} 1')


def hexadecimal(case: bytes) -> str:
    return case.rstrip(b'\0').hex()


def test_seconds_bound_a_target(fuzz_tool, clock):
    runner, tally = Runner('same'), fuzz_tool.Tally('a')
    args = SimpleNamespace(count=10**6, seed=0)
    # The clock says 0, 1, 2, 3, 4 before cases, and 5.
    assert not fuzz_tool.next_fault(runner, tally, args, end=4)
    assert tally.kinds == {'same': 5}
    assert len(runner.seen) == 5


@pytest.mark.slow
def test_seconds_are_counted_from_the_start(fuzz_tool, clock):
    args = SimpleNamespace(
        count=10**6, seconds=3, seed=0, case_seconds=60, memory=1024
    )
    tally = fuzz_tool.fuzz('options', args)
    # It began at 0; there were cases at 1, 2 and 3, and none at 4.
    assert tally.kinds.total() == 3
    assert tally.seconds == 5


def test_the_search_for_less_damage_ends(fuzz_tool, clock, monkeypatch):
    monkeypatch.setattr(fuzz_tool, 'SHRINK_SECONDS', 3)
    runner, tally = Runner('same', 'fault'), fuzz_tool.Tally('a')
    args = SimpleNamespace(count=10**6, seed=0)
    assert fuzz_tool.next_fault(runner, tally, args, end=math.inf)
    # Found at 1, and at 2 it may go on up to 5: three more, at 3, 4 and 5.
    assert len(runner.seen) == 5
    assert tally.faults == {'fault 1': hexadecimal(runner.seen[-1])}
    assert tally.kinds == {'same': 1, 'fault': 1}


def test_a_fault_that_comes_and_goes_is_kept(fuzz_tool):
    runner, tally = Runner('same', 'fault', 'same'), fuzz_tool.Tally('a')
    args = SimpleNamespace(count=10, seed=0)
    assert fuzz_tool.next_fault(runner, tally, args, end=math.inf)
    assert tally.faults == {'fault 1': hexadecimal(runner.seen[1])}


def test_a_known_fault_is_counted_only(fuzz_tool):
    runner, tally = Runner('fault'), fuzz_tool.Tally('a')
    args = SimpleNamespace(count=10, seed=0)
    tally.faults['fault 2'] = '01'  # of the same sort
    assert not fuzz_tool.next_fault(runner, tally, args, math.inf)
    assert tally.kinds == {'fault': 10}
    assert tally.faults == {'fault 2': '01'}

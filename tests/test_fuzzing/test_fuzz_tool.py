"""The fuzzer as a command."""

import json
from pathlib import Path

import pytest

from fuzzing import TARGETS, Target

pytestmark = pytest.mark.slow

# A reader that believes whatever it is told.
GULLIBLE = """
def write(folder):
    (folder / 'count.txt').write_text('12')

def read(folder):
    return repr(int((folder / 'count.txt').read_bytes()))
"""


@pytest.fixture
def gullible(tmp_path, monkeypatch):
    (tmp_path / 'gullible.py').write_text(GULLIBLE)
    monkeypatch.syspath_prepend(tmp_path)
    import gullible

    target = Target('gullible', gullible.write, gullible.read, (OSError,))
    monkeypatch.setitem(TARGETS, 'gullible', target)


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


def test_a_fault_is_written_and_repeated(cli, tool, gullible, tmp_path):
    folder, out = tmp_path / 'faults', tmp_path / 'out.json'
    status, _ = cli(
        '../tests/fuzz.py', 'gullible', '--count', 60,
        '--out-dir', folder, '--out-json', out,
    )  # fmt: skip
    assert status == 1
    (row,) = json.loads(out.read_text())
    assert row['fault'] >= len(row['faults']) > 0
    notes = sorted(folder.glob('*/fault.json'))
    assert len(notes) == len(row['faults'])
    for path in notes:
        note = json.loads(path.read_text())
        assert row['faults'][note['detail']] == note['repeat']
        assert len(note['repeat']) == 1  # one edit is enough
        # The files are those that the reader stumbled over.
        import gullible

        with pytest.raises(ValueError, match='invalid literal'):
            gullible.read(path.parent / 'files')
        with pytest.raises(SystemExit, match='2'):
            raise SystemExit(
                cli('../tests/fuzz.py', 'gullible', '--repeat',
                    *note['repeat'])[0]
            )  # fmt: skip


def test_options(cli, capsys):
    for args, message in (
        (['nothing'], 'no target nothing; there are prw'),
        (['--count', 0], 'expected more than 0'),
        (['--repeat', 1], 'expected one target'),
    ):
        status, err = cli('../tests/fuzz.py', *args)
        assert status == 2
        assert message in err


def test_cases_follow_from_the_seed(tool):
    fuzz = tool('../tests/fuzz.py')
    cases = [fuzz.edits_of('prw', 0, number) for number in range(200)]
    assert cases == [fuzz.edits_of('prw', 0, n) for n in range(200)]
    assert {len(case) for case in cases} == {1, 2, 3, 4}
    other = fuzz.edits_of('prw', 1, 0)
    assert other != cases[0] != fuzz.edits_of('coco', 0, 0)


def test_seconds_bound_a_target(cli, tmp_path: Path):
    out = tmp_path / 'out.json'
    status, _ = cli(
        '../tests/fuzz.py', 'options', '--count', 10**6,
        '--seconds', 1, '--out-json', out,
    )  # fmt: skip
    assert status == 0
    (row,) = json.loads(out.read_text())
    assert 1 < row['cases'] < 10**5
    assert row['seconds'] < 5

"""benchmark_scenes.py: whole pictures beside the people in them."""

import pytest

from measuring import read_report

TOOL = 'benchmarks/benchmark_scenes.py'
SEQNEXT = 'configs/seqnext/{}_r18_scenes.py'.format
SMALL = (
    '--size', 160, 96, '--boxes', 5, '--rounds', 2, '--device', 'cpu',
)  # fmt: skip


def test_scenes_cost_less_than_people(cli, tmp_path):
    out = tmp_path / 'out.json'
    code, err = cli(TOOL, SEQNEXT('seqnext-gfn'), *SMALL, '--out-json', out)
    assert not code, err
    (row,), _ = read_report(out)
    assert (row.what, row.unit) == ('seqnext-gfn_r18_scenes', 's/image')
    assert 0 < row.ours < row.beside
    assert 0 < row.ratio < 1


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (('--rounds', 0), '--rounds: expected 1 or more, got 0'),
        (('gone.py',), 'config gone.py does not exist'),
        ((SEQNEXT('seqnext'),), 'expected a model with a gallery_filter'),
    ],
)
def test_bad_words(cli, words, error):
    code, err = cli(TOOL, *words)
    assert code
    assert error in err

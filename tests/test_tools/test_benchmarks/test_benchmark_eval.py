"""Tests of benchmark_eval.py: agreement with the loop is checked."""

import pytest

from mmps.evaluation.functional import ranking, search_evaluation

from measuring import read_report

TOOL = 'benchmarks/benchmark_eval.py'
PROTOCOLS = ['prw', 'prw-cbgm', 'cuhk-sysu', 'cuhk-sysu-cbgm']


@pytest.mark.slow
@pytest.mark.parametrize('num', [None, 10])
def test_measures_all_protocols(cli, tmp_path, num):
    out = tmp_path / 'out.json'
    some = ('--loop-queries', num) if num else ()
    code, err = cli(
        TOOL, '--scale', 0.02, '--embed-dims', 8, '--repeat', 1, *some,
        '--out-json', out,
    )  # fmt: skip
    assert not code, err
    rows, figures = read_report(out)
    assert list(figures['evaluation']) == PROTOCOLS
    for i, found in enumerate(figures['evaluation'].values()):
        speed, memory, difference = rows[3 * i : 3 * i + 3]
        assert found['queries'] == (41 if i < 2 else 58)
        assert found['galleries'] == (1 if i < 2 else 7)
        assert found['difference'] <= 1e-6
        assert difference.met
        assert speed.ratio == pytest.approx(
            found['loop_seconds'] / found['seconds']
        )
        wanted = f'over 10 of {found["queries"]}' if num else 'plain loop'
        assert speed.beside_what.endswith(wanted)
        assert memory.ours == found['memory']


def test_data_set_of_ones_own(cli, tmp_path):
    code, err = cli(TOOL, '--data-root', tmp_path, '--protocols', 'prw')
    assert code
    assert str(tmp_path / 'PRW') in err


@pytest.mark.slow
def test_a_difference_is_told(cli, monkeypatch):
    monkeypatch.setattr(
        search_evaluation,
        'average_precisions',
        lambda *args: 0.99 * ranking.average_precisions(*args),
    )
    code, err = cli(
        TOOL, '--scale', 0.02, '--embed-dims', 4, '--protocols', 'prw'
    )
    assert code == 1
    assert 'differences above 1e-06' in err


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (('--scale', 0), '--scale: expected above 0 to 1'),
        (('--loop-queries', 0), '--loop-queries: expected 1 or more, got 0'),
    ],
)
def test_bad_words(cli, words, error):
    code, err = cli(TOOL, *words)
    assert code
    assert error in err

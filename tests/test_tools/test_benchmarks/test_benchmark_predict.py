"""Tests of benchmark_predict.py: pairs of detectors, time and memory."""

import pytest

from measuring import read_report

SCENES = 'configs/{}_r18_scenes.py'.format
LIGHT = SCENES('pcnet/pcnet-light')
SMALL = (
    '--size', 160, 96, '--boxes', 5, '--rounds', 1, '--device', 'cpu',
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ('words', 'beside'),
    [
        ((), 'plain'),
        (('--beside', SCENES('oim/oim')), 'oim_r18_scenes'),
        (
            ('--beside', f'plain:{SCENES("oim/oim")}'),
            'plain, oim_r18_scenes',
        ),
    ],
)
def test_measures_and_writes(cli, tmp_path, words, beside):
    out = tmp_path / 'out.json'
    code, err = cli(
        'benchmarks/benchmark_predict.py', LIGHT, *words, *SMALL,
        '--out-json', out,
    )  # fmt: skip
    assert not code, err
    (time, memory), figures = read_report(out)
    found = figures['prediction']['pcnet-light_r18_scenes']
    assert found['boxes'] == found['beside_boxes'] == 5
    assert min(found.values()) > 0
    assert (time.unit, memory.unit) == ('s/image', 'MiB')
    assert time.beside_what == memory.beside_what == beside
    assert time.ratio == found['ratio']
    assert time.ratio == pytest.approx(time.ours / time.beside)
    assert memory.beside == found['beside_memory']
    assert found['images_per_second'] == pytest.approx(1 / time.ours)


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        ((LIGHT, '--rounds', 0), '--rounds: expected 1 or more, got 0'),
        (('gone.py',), 'config gone.py does not exist'),
    ],
)
def test_bad_words(cli, words, error):
    code, err = cli('benchmarks/benchmark_predict.py', *words)
    assert code
    assert error in err

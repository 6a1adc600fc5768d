"""Tests of benchmark_loading.py: both pipelines, and the parts of ours."""

import pytest

from measuring import read_report


def test_measures_rendered_frames(cli, tmp_path):
    out = tmp_path / 'out.json'
    code, err = cli(
        'benchmarks/benchmark_loading.py', '--frames', 2, '--rounds', 1,
        '--size', 320, 180, '--out-json', out,
    )  # fmt: skip
    assert not code, err
    rows, figures = read_report(out)
    for split, lines in (('train', rows[:4]), ('test', rows[4:])):
        found = figures['loading'][split]
        assert min(found.values()) > 0
        assert found['ours'] == pytest.approx(
            found['loading'] + found['resize'] + found['rest']
        )
        assert lines[0].what.startswith(split)
        assert lines[0].unit == 'images/s'
        assert lines[0].ours == 1 / found['ours']
        assert lines[0].beside == 1 / found['plain']
        assert lines[1].beside == found['decoding']


def test_plain_pipeline_does_the_same_to_the_pixels(tool, search_run):
    import numpy as np
    from mmengine.registry import DefaultScope

    from mmps.datasets.from_config import build_dataset, dataset_config
    from mmps.utils.config import load_config

    module = tool('benchmarks/benchmark_loading.py')
    node = dataset_config(load_config(search_run.config), 'test')
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = build_dataset(node)
        plain = module.plain_pipeline(node['pipeline'])
    ours = dataset.prepare_data(0)
    theirs = plain({'img_path': ours['data_samples'].img_path})
    np.testing.assert_array_equal(ours['inputs'], theirs['inputs'])


@pytest.mark.parametrize(
    ('words', 'error'),
    [
        (('--frames', 1), '--frames: expected 2 or more, got 1'),
        (('--rounds', 0), '--rounds: expected 1 or more, got 0'),
    ],
)
def test_bad_words(cli, words, error):
    code, err = cli('benchmarks/benchmark_loading.py', *words)
    assert code
    assert error in err

"""Tests of what benchmarks share: rows, tables, times, memory, detectors."""

import io
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope
from rich.console import Console

from mmps.gallery import Matches
from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS

import measuring
from measuring import (
    METHODS,
    NUM_IDS,
    Row,
    build_untrained,
    describe_machine,
    few_boxes,
    growth_exponent,
    in_turns,
    markdown,
    median_ratio,
    method_configs,
    other_detector,
    own_process,
    plain_detector,
    print_rows,
    read_report,
    replace_marked,
    timed,
    write_report,
)
from measuring.brute_force import is_brute_force
from measuring.protocols import random_protocol
from measuring.tables import amount, number

# -- lines, their table and their file -------------------------------------


@pytest.mark.parametrize(
    ('row', 'ratio', 'met'),
    [
        (Row('a', 's', 2.0), None, None),
        (Row('a', 's', 2.0, 4.0), 0.5, None),
        (Row('a', 's', 2.0, 4.0, target='<= 0.5'), 0.5, True),
        (Row('a', 's', 2.0, 4.0, ratio=0.51, target='<= 0.5'), 0.51, False),
        (Row('a', 'queries/s', 300.0, 5.0, target='>= 50'), 60, True),
        (Row('a', '', 1e-7, target='<= 1e-6'), None, True),
        (Row('a', '', math.nan, target='<= 1e-6'), None, False),
    ],
)
def test_ratios_and_targets(row, ratio, met):
    assert row.ratio == ratio
    assert row.met is met


@pytest.mark.parametrize('target', ['<=1', '< 1', '>= much', ''])
def test_no_target(target):
    with pytest.raises(ValueError, match='target|much'):
        Row('a', 's', 1.0, target=target)


def test_reports_are_read_as_they_were_written(tmp_path):
    rows = [
        Row('a', 's', 0.1, 0.3, 'plain', 0.31, '<= 1.1', 'training'),
        Row('b', 'MiB', 12.0),
    ]
    write_report(tmp_path / 'a.json', rows, machine={'cpu': 'x'})
    assert read_report(tmp_path / 'a.json') == (
        rows,
        {'machine': {'cpu': 'x'}},
    )


@pytest.mark.parametrize(
    ('value', 'unit', 'text'),
    [
        (0.25, 's/image', '250 ms (4.00/s)'),
        (2.0, 's/image', '2,000 ms (0.500/s)'),
        (0.0123, 's', '12.3 ms'),
        (0.0123, 's/step', '12.3 ms/step'),
        (12.34, 's', '12.3 s'),
        (148_123.4, 'rows/s', '148,123 rows/s'),
        (0.0, '', '0'),
        (1.8e-7, '', '1.8e-07'),
    ],
)
def test_amounts(value, unit, text):
    assert amount(value, unit) == text


@pytest.mark.parametrize(
    ('value', 'text'),
    [(1, '1.00'), (9.996, '10.0'), (99.96, '100'), (0.0123456, '0.0123')],
)
def test_three_digits(value, text):
    assert number(value) == text


def test_table_in_markdown_and_on_a_terminal():
    rows = [
        Row('one', 's', 2.0, 4.0, 'loop', target='<= 0.1', part='p'),
        Row('two', 'MiB', 3.0, part='p'),
        Row('one', 's', 1.0, 0.5, 'loop', part='q', target='>= 1'),
    ]
    *_, rule, a, b, c = markdown({'cpu': 'x', 'cores': 2}, rows).splitlines()
    assert a == '| p | one | 2.00 s | 4.00 s, loop | 0.500 | <= 0.1 | NO |'
    assert b == '|  | two | 3.00 MiB |  |  |  |  |'
    assert c == '| q | one | 1.00 s | 500 ms, loop | 2.00 | >= 1 | yes |'
    assert {line.count('|') for line in (rule, a, b, c)} == {8}
    assert markdown({'cpu': 'x', 'cores': 2}, []).startswith(
        'Measured on: cpu x, cores 2.'
    )

    out = io.StringIO()
    print_rows('Title', rows[1:2], Console(file=out, width=80))
    text = out.getvalue()
    assert 'two' in text
    assert '3.00 MiB' in text
    assert 'beside' not in text  # nothing to show there


def test_only_what_is_between_the_marks_is_replaced():
    page = 'a\n<!-- benchmark -->\nold\n<!-- /benchmark -->\nb\n'
    once = replace_marked(page, 'new')
    assert once == 'a\n<!-- benchmark -->\nnew\n<!-- /benchmark -->\nb\n'
    assert replace_marked(once, 'old') == page
    for wrong in (
        'none',
        page + page,
        '<!-- benchmark -->',
        '<!-- /benchmark --> <!-- benchmark -->',
    ):
        with pytest.raises(ValueError, match='expected <!-- benchmark -->'):
            replace_marked(wrong, 'new')


def test_machine_is_described():
    found = describe_machine()
    assert found['torch'] in sys.modules['torch'].__version__
    assert found['cores'] >= 1
    assert len(found['cpu']) > 3
    if sys.platform == 'linux':
        assert float(found['memory'].split()[0]) > 0


# -- time and memory -----------------------------------------------------


def test_steps_are_taken_in_turns():
    calls = []

    def step(name):
        calls.append(name)
        return float(len(calls))

    found = in_turns([lambda: step('a'), lambda: step('b')], 2, warm_up=1)
    assert ''.join(calls) == 'ababab'
    assert found == [[3.0, 5.0], [4.0, 6.0]]
    assert median_ratio([1.0, 4.0, 9.0], [1.0, 2.0, 3.0]) == 2.0


def test_time_of_a_call_is_the_median(monkeypatch):
    ticks = iter([0.0, 1.0, 10.0, 12.0, 20.0, 29.0])
    monkeypatch.setattr('time.perf_counter', lambda: next(ticks))
    assert timed(lambda: None, repeat=3) == 2.0


def test_exponent_of_growth():
    sizes = [10, 100, 1000]
    assert growth_exponent(sizes, [3 * n**1.5 for n in sizes]) == (
        pytest.approx(1.5)
    )
    with pytest.raises(ValueError, match='two or more sizes'):
        growth_exponent([10, 10], [1.0, 1.0])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='reads /proc')
def test_memory_that_work_adds(tmp_path, monkeypatch):
    folder = Path(measuring.__file__).parents[1]
    monkeypatch.setenv('PYTHONPATH', str(folder), prepend=os.pathsep)
    script = tmp_path / 'work.py'
    script.write_text(
        'import sys\n'
        'import torch\n'
        'from measuring import peak_memory\n'
        'size = int(sys.argv[1]) * 2**18\n'
        'print("MiB:", peak_memory(lambda: torch.zeros(size)))\n'
    )
    assert own_process(str(script), 64) == pytest.approx(64, abs=8)
    assert own_process(str(script), 256) == pytest.approx(256, abs=8)


# -- what is measured ------------------------------------------------------


@pytest.mark.slow
def test_every_method_has_its_configs():
    for full_size in (False, True):
        configs = method_configs(full_size)
        assert len(configs) == len(METHODS)
        for config in configs:
            assert Config.fromfile(config).model.type


@pytest.mark.parametrize('name', METHODS)
def test_plain_detectors_have_no_reid(name):
    cfg = Config.fromfile(f'configs/{name}_r18_scenes.py').model
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(plain_detector(cfg))
        method = MODELS.build(cfg)
    assert not any(isinstance(m, IdentityMemory) for m in model.modules())
    if name != 'coat/coat':  # whose transformers are smaller than a last stage
        plain, whole = (
            sum(p.numel() for p in m.parameters()) for m in (model, method)
        )
        assert plain < whole
    # The backbone is the same.
    sizes = [
        {k: v.shape for k, v in m.backbone.state_dict().items()}
        for m in (model, method)
    ]
    assert sizes[0] == sizes[1]


def test_what_a_method_is_compared_with():
    scenes = 'configs/{}_r18_scenes.py'.format
    light = Config.fromfile(scenes('pcnet/pcnet-light')).model
    oim = Config.fromfile(scenes('oim/oim')).model
    assert other_detector('plain', light) == plain_detector(light)
    assert other_detector(scenes('oim/oim'), light) == oim
    beside = other_detector(f'plain:{scenes("oim/oim")}', light)
    assert beside == plain_detector(oim)


@pytest.mark.parametrize('name', ['seqnet/seqnet', 'coat/coat', 'pcnet/pcnet'])
def test_untrained_detectors_keep_as_many_boxes(name):
    cfg = Config.fromfile(f'configs/{name}_r18_scenes.py').model
    before = cfg.to_dict()
    model = few_boxes(cfg, 7)
    assert cfg.to_dict() == before
    built = build_untrained(model, 'cpu')
    memories = [m for m in built.modules() if isinstance(m, IdentityMemory)]
    assert memories
    assert {len(m.prototypes) for m in memories} == {NUM_IDS}
    limits = model.test_cfg
    if 'rcnn' in limits:
        assert limits.rcnn.max_per_img == 7
        pruning = limits.rcnn.before_last
        for one in pruning if isinstance(pruning, list) else [pruning]:
            assert one.max_per_img == 7
    else:
        assert (limits.max_per_img, limits.nms_pre) == (7, 14)


def test_no_pretrained_weights_are_asked_for():
    cfg = Config.fromfile('configs/pcnet/pcnet-light_r50_prw.py').model
    assert 'checkpoint' in cfg.backbone.init_cfg
    build_untrained(cfg, 'cpu')  # would ask the network for them


def test_protocols_are_as_large_as_the_data_sets():
    prw = random_protocol('prw', 0.1)
    assert (prw.num_frames, prw.num_queries) == (611, 206)
    assert not prw.galleries
    cuhk = random_protocol('cuhk-sysu', 0.02)
    assert (cuhk.num_frames, cuhk.num_queries) == (140, 58)
    sizes = {k: g.splits[1] for k, g in cuhk.galleries.items()}
    assert list(sizes.values())[:6] == [2, 2, 10, 20, 40, 80]
    assert cuhk.galleries['all'].rest_of_frames


def test_brute_force_tells_wrong_results():
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((200, 8)).astype(np.float32)
    sims = vectors[:3].astype(np.float64) @ vectors.T.astype(np.float64)
    ids = np.argsort(-sims, axis=1, kind='stable')[:, :5]
    parts = [vectors[:70], vectors[70:]]
    right = Matches(ids, np.take_along_axis(sims, ids, 1))
    assert is_brute_force(right, vectors[:3], parts, 5)
    ids = ids.copy()
    ids[2, [3, 4]] = ids[2, [4, 3]]
    wrong = Matches(ids, right.similarities)
    assert not is_brute_force(wrong, vectors[:3], parts, 5)

"""benchmark_train.py: the plain detectors, the loop, and the table."""

import json

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS
from mmps.testing.two_stage import tiny_two_stage


@pytest.fixture
def benchmark(tool):
    return tool('analysis_tools/benchmark_train.py')


@pytest.mark.parametrize(
    'name', ['nae/nae', 'seqnet/seqnet', 'ugas/ugas-seqnet', 'pcnet/pcnet']
)
def test_plain_detectors_have_no_reid(benchmark, name):
    cfg = Config.fromfile(f'configs/{name}_r18_scenes.py').model
    plain = benchmark.plain_detector(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(plain)
        method = MODELS.build(cfg)
    assert not any(isinstance(m, IdentityMemory) for m in model.modules())
    count = [sum(p.numel() for p in m.parameters()) for m in (model, method)]
    assert count[0] < count[1]
    # The backbone is the same.
    sizes = [
        {k: v.shape for k, v in m.backbone.state_dict().items()}
        for m in (model, method)
    ]
    assert sizes[0] == sizes[1]


def test_measures_and_writes(benchmark, monkeypatch, tmp_path, capsys):
    rows = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)

    def batch():
        memory = IdentityMemory(20, 8, queue_size=20)
        ids = torch.cat((torch.arange(20), torch.full((20,), -1)))
        memory.update(rows, ids)
        x = torch.nn.Parameter(rows[::4].clone())
        return memory, x, torch.tensor([0, -1, 3, 3, 0, -1, 7, 8, -1, 0])

    monkeypatch.setattr(benchmark, 'oim_batch', batch)
    config = tmp_path / 'tiny.py'
    config.write_text(
        f'model = {tiny_two_stage(num_ids="auto").to_dict()!r}\n'
    )
    out = tmp_path / 'out.json'
    monkeypatch.setattr(
        'sys.argv',
        [
            'benchmark_train.py', str(config), '--size', '160', '128',
            '--batch', '2', '--rounds', '1', '--device', 'cpu',
            '--out-json', str(out),
        ],
    )  # fmt: skip
    benchmark.main()
    row = json.loads(out.read_text())['tiny']
    assert row['ratio'] == pytest.approx(row['seconds'] / row['plain_seconds'])
    assert min(row.values()) > 0
    assert 'equal results' in capsys.readouterr().out

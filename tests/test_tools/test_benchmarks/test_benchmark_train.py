"""Tests of benchmark_train.py: its figures, and the check of the OIM loop."""

import pytest
import torch

from mmps.models.memories import IdentityMemory
from mmps.testing import tiny_two_stage

from measuring import oim_loop, oim_step, read_report


def oim_batch():
    torch.manual_seed(0)
    rows = torch.nn.functional.normalize(torch.randn(40, 8), dim=1)
    memory = IdentityMemory(20, 8, queue_size=20)
    ids = torch.cat((torch.arange(20), torch.full((20,), -1)))
    memory.update(rows, ids)
    x = torch.nn.Parameter(rows[::4].clone())
    return memory, x, torch.tensor([0, -1, 3, 3, 0, -1, 7, 8, -1, 0])


@pytest.mark.slow
def test_measures_and_writes(cli, monkeypatch, tmp_path):
    monkeypatch.setattr('measuring.oim_batch', oim_batch)
    config = tmp_path / 'tiny.py'
    config.write_text(
        f'model = {tiny_two_stage(num_ids="auto").to_dict()!r}\n'
    )
    out = tmp_path / 'out.json'
    code, err = cli(
        'benchmarks/benchmark_train.py', config, '--size', 160, 128,
        '--batch', 2, '--rounds', 1, '--device', 'cpu', '--out-json', out,
    )  # fmt: skip
    assert not code, err
    rows, figures = read_report(out)
    tiny = figures['training']['tiny']
    assert tiny['ratio'] == pytest.approx(
        tiny['seconds'] / tiny['plain_seconds']
    )
    assert min(tiny.values()) > 0
    assert [(row.what, row.unit) for row in rows] == [
        ('tiny', 's/step'),
        ('tiny', 'MiB'),
        ("BOIM's weight, 5532 prototypes", 's/step'),
        ('OIM step, 512 people', 's/step'),
    ]
    assert rows[0].ratio == tiny['ratio']
    assert rows[1].ours == tiny['memory']
    step = figures['training']['OIM step']
    assert rows[3].ratio == step['ratio'] > 0
    assert (rows[3].ours, rows[3].beside) == (step['vectorised'], step['loop'])


@pytest.mark.parametrize('option', ['--rounds', '--batch'])
def test_bad_words(cli, option):
    code, err = cli('benchmarks/benchmark_train.py', option, 0)
    assert code
    assert f'{option}: expected 1 or more, got 0' in err


def test_oim_loop_tells_a_difference(monkeypatch):
    oim_step(*oim_batch())
    loss = oim_loop.OIMLoss
    monkeypatch.setattr(
        oim_loop, 'OIMLoss', lambda: lambda *x: 1.01 * loss()(*x)
    )
    with pytest.raises(AssertionError, match='not close'):
        oim_step(*oim_batch())

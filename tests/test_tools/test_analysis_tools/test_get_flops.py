"""Tests of counted parameters and operations against a count by hand."""

import importlib.util
import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmengine.model import BaseModel
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from mmps.models.layers import DeformConv

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def get_flops():
    path = ROOT / 'tools' / 'analysis_tools' / 'get_flops.py'
    spec = importlib.util.spec_from_file_location('get_flops', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def scopes(monkeypatch):
    """Keep the default scope from other tests."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())


class TwoLayers(BaseModel):
    """A stand-in for a detector: a convolution and a linear layer."""

    def __init__(self) -> None:
        super().__init__(DetDataPreprocessor(pad_size_divisor=32))
        self.backbone = nn.Conv2d(3, 5, 3, padding=1, bias=False)
        self.head = nn.Linear(5, 7)
        self.empty = nn.Identity()

    def forward(self, inputs, data_samples, mode='tensor'):
        assert mode == 'predict'
        assert not self.training
        x = self.head(self.backbone(inputs).mean((2, 3)))
        for sample, row in zip(data_samples, x, strict=True):
            sample.pred_instances = InstanceData(scores=row)
        return data_samples


def test_counts_as_by_hand(get_flops):
    model = TwoLayers().eval()
    rows, skipped = get_flops.count(model, (40, 64))
    # Padded to 64 x 64.
    conv, linear = 64 * 64 * 3 * 5 * 9, 5 * 7
    assert [r[0] for r in rows] == ['backbone', 'head', 'total']
    assert rows[0][1:] == (3 * 5 * 9, conv)
    assert rows[1][1:] == (5 * 7 + 7, linear)
    assert rows[2][1] == 3 * 5 * 9 + 5 * 7 + 7
    assert rows[2][2] >= conv + linear
    assert not any('PythonOp' in name for name in skipped)
    assert torch.is_grad_enabled()


class Deformed(TwoLayers):
    def __init__(self) -> None:
        super().__init__()
        self.head = DeformConv(5, 20)

    def forward(self, inputs, data_samples, mode='tensor'):
        x = self.backbone(inputs)
        x = self.head(x, x.new_zeros(len(x), 18, *x.shape[2:]))
        for sample, row in zip(data_samples, x, strict=True):
            sample.pred_instances = InstanceData(scores=row)
        return data_samples


def test_deformable_convolution_counts_as_a_convolution(get_flops):
    rows, _ = get_flops.count(Deformed().eval(), (40, 64))
    assert rows[1][0] == 'head'
    product = 64 * 64 * 5 * 20 * 9
    # Four multiply-adds of bilinear sampling per value on top.
    assert product <= rows[1][2] <= product + 4 * 64 * 64 * 5 * 9


def test_prints_a_table_of_a_detector(get_flops, capsys, monkeypatch):
    name = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'
    argv = ['get_flops.py', name, '--shape', '64', '96', '--cfg-options']
    monkeypatch.setattr('sys.argv', [*argv, 'model.bbox_head.num_classes=1'])
    get_flops.main()
    out = capsys.readouterr().out
    assert '64 x 96 pixels' in out
    numbers = {
        line.split()[1]: float(line.split()[3])
        for line in out.splitlines()
        if re.match(r'│ (backbone|neck|bbox_head|total)', line)
    }
    parts = sum(numbers[k] for k in ('backbone', 'neck', 'bbox_head'))
    assert parts == pytest.approx(numbers['total'], abs=0.02)
    assert numbers['backbone'] == pytest.approx(11.18, abs=0.02)


@pytest.mark.parametrize('shape', [['0', '5'], ['5', '-1'], ['5']])
def test_refuses_a_bad_shape(get_flops, shape, monkeypatch, capsys):
    monkeypatch.setattr('sys.argv', ['get_flops.py', 'x', '--shape', *shape])
    with pytest.raises(SystemExit) as info:
        get_flops.main()
    assert info.value.code == 2
    assert 'shape' in capsys.readouterr().err

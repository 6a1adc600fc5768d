"""Tests of AlignPS' neck against plain formulas."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import deform_conv2d

import mmps.models  # noqa: F401
from mmps.registry import MODELS


def levels():
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, 24, 30), (4, 12, 15), (5, 6, 8), (6, 3, 4)]
    return [
        torch.randn(2, *shape, generator=generator, dtype=torch.float64)
        for shape in shapes
    ]


def neck(**kwargs):
    torch.manual_seed(0)
    module = MODELS.build(
        dict(
            type='mmps.AlignedFeatureAggregation',
            in_channels=[3, 4, 5, 6],
            out_channels=2,
            **kwargs,
        )
    )
    module.init_weights()
    return module.double()


def deformable(weights, name, x):
    offset = F.conv2d(
        x,
        weights[f'{name}.conv_offset.weight'],
        weights[f'{name}.conv_offset.bias'],
        padding=1,
    )
    return deform_conv2d(x, offset, weights[f'{name}.weight'], 1, 1)


def test_equals_the_formula_from_key_to_key():
    module = neck()
    weights = dict(module.state_dict())
    assert weights['lateral_convs.0.conv_offset.weight'].any()
    p3, p4, p5 = (
        deformable(weights, f'lateral_convs.{i}', x)
        for i, x in enumerate(levels()[1:])
    )
    p4 = torch.cat((p4, F.interpolate(p5, (6, 8))), 1)
    p3 = torch.cat((p3, F.interpolate(p4, (12, 15))), 1)
    assert p3.size(1) == 3 * p5.size(1)
    want = [
        deformable(weights, f'fpn_convs.{i}', x)
        for i, x in enumerate((p3, p4, p5))
    ]
    for i in (3, 4):
        x = want[-1] if i == 3 else want[-1].relu()
        kernel, bias = (
            weights[f'fpn_convs.{i}.conv.{part}']
            for part in ('weight', 'bias')
        )
        want.append(F.conv2d(x, kernel, bias, stride=2, padding=1))
    for mode in (True, False):
        got = module.train(mode)(levels())
        for one, two in zip(got, want, strict=True):
            torch.testing.assert_close(one, two)


def test_gives_the_finest_alone_in_evaluation():
    module = neck(num_outs_test=1)
    outs = module(levels())
    assert len(outs) == 5
    sum(out.sum() for out in outs).backward()
    unused = [n for n, p in module.named_parameters() if p.grad is None]
    assert unused == []
    (only,) = module.eval()(levels())
    torch.testing.assert_close(only, outs[0])


def test_without_further_levels():
    assert len(neck(num_outs=3)(levels())) == 3
    assert len(neck(start_level=2, num_outs=2)(levels())) == 2
    with pytest.raises(ValueError, match='num_outs must be at least .* 3'):
        neck(num_outs=2)

"""Tests of Res2Net in its published forms."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmps.registry import MODELS

from ruled_weights import rule_weight

DATA = Path(__file__).parents[2] / 'data'
SMALL = dict(
    depth=50, scales=4, base_width=4, base_channels=8, stem_channels=8
)


def test_plain_stem_and_strided_shortcuts():
    net = MODELS.build(dict(type='mmps.PlainRes2Net', **SMALL))
    assert net.conv1.kernel_size == (7, 7)
    for stage, stride in zip(net.res_layers, (1, 2, 2, 2)):
        shortcut = getattr(net, stage)[0].downsample
        assert [type(m) for m in shortcut] == [nn.Conv2d, nn.BatchNorm2d]
        assert shortcut[0].stride == (stride, stride)
    net.eval()
    outs = net(torch.randn(1, 3, 64, 64))
    assert [o.shape[1:] for o in outs] == [
        (32, 16, 16),
        (64, 8, 8),
        (128, 4, 4),
        (256, 2, 2),
    ]


def test_keys_are_those_of_the_published_weights():
    """As printed by the authors' res2net50_26w_4s file."""
    net = MODELS.build(dict(type='mmps.PlainRes2Net', depth=50))
    keys = set(net.state_dict())
    for key in (
        'conv1.weight',
        'bn1.running_var',
        'layer1.0.conv1.weight',
        'layer1.0.convs.2.weight',
        'layer1.0.bns.0.weight',
        'layer1.0.downsample.0.weight',
        'layer1.0.downsample.1.bias',
        'layer4.2.bn3.weight',
    ):
        assert key in keys
    sizes = {k: tuple(v.shape) for k, v in net.state_dict().items()}
    assert sizes['layer1.0.conv1.weight'] == (104, 64, 1, 1)
    assert sizes['layer1.0.convs.0.weight'] == (26, 26, 3, 3)
    assert sizes['layer4.0.downsample.0.weight'] == (2048, 1024, 1, 1)


@pytest.mark.parametrize(
    ('form', 'backbone'), [('plain', 'PlainRes2Net'), ('v1b', 'Res2NetV1b')]
)
def test_outputs_are_those_of_the_authors_code(form, backbone):
    net = MODELS.build(
        dict(type=f'mmps.{backbone}', depth=50, scales=4, base_width=26)
    )
    net.eval()
    weights = {}
    for key, value in net.state_dict().items():
        if form == 'v1b':
            key = key.replace('stem.7', 'bn1').replace('stem', 'conv1')
        weights[key] = rule_weight(key, tuple(value.shape))
    net.load_state_dict(weights)
    picture = np.random.RandomState(0).standard_normal((1, 3, 64, 64))
    with torch.no_grad():
        outs = net(torch.from_numpy(picture.astype(np.float32)))
    with np.load(DATA / 'res2net50.npz') as stored:
        for level, out in enumerate(outs, 1):
            want = torch.from_numpy(stored[f'{form}/layer{level}'])
            scale = want.abs().max()
            torch.testing.assert_close(
                out[0, ::8, ::2, ::2] / scale, want / scale, atol=1e-5, rtol=0
            )


@pytest.mark.parametrize('prefix', ['', 'backbone.'])
def test_v1b_loads_the_authors_names(prefix):
    torch.manual_seed(0)
    source = MODELS.build(dict(type='mmps.Res2NetV1b', **SMALL))
    published = {}
    for key, value in source.state_dict().items():
        name = key.replace('stem.7', 'bn1').replace('stem', 'conv1')
        published[prefix + name] = value
    assert f'{prefix}conv1.0.weight' in published
    other = MODELS.build(dict(type='mmps.Res2NetV1b', **SMALL))
    holder = nn.ModuleDict({'backbone': other}) if prefix else other
    holder.load_state_dict(published)
    for key, value in source.state_dict().items():
        assert torch.equal(other.state_dict()[key], value), key
    # Its own checkpoints load as well.
    other.load_state_dict(source.state_dict())

"""ChannelsLastHook: another memory order, the same model."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmps.engine.hooks import ChannelsLastHook
from mmps.registry import HOOKS


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3))
    return nn.Sequential(*layers).double()


def test_reorders_maps_and_keeps_results(model):
    x = torch.randn(2, 3, 9, 7, dtype=torch.double)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    expected = model(x)
    model.load_state_dict(before)

    hook = HOOKS.build(dict(type='mmps.ChannelsLastHook'))
    assert isinstance(hook, ChannelsLastHook)
    hook.before_run(SimpleNamespace(model=model))
    out = model(x)

    torch.testing.assert_close(out, expected)
    assert not expected.is_contiguous(memory_format=torch.channels_last)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_checkpoints_fit_both_ways(model):
    plain = {k: v.clone() for k, v in model.state_dict().items()}
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, plain[key], rtol=0, atol=0)
    # A checkpoint of the usual order does not undo it.
    model.load_state_dict(plain)
    weight = model[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()

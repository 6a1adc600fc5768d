"""Tests of training under bfloat16 autocast without a GPU."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmps.engine import BF16OptimWrapper
from mmps.registry import OPTIM_WRAPPERS


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(8, 4)


def step(wrapper: OptimWrapper, model: nn.Module, x: torch.Tensor):
    with wrapper.optim_context(model):
        output = model(x)
        loss = output.float().square().mean()
    wrapper.update_params(loss)
    return output


def test_forward_is_bfloat16_and_parameters_stay_float32(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    wrapper = BF16OptimWrapper(optimizer)
    before = model.weight.detach().clone()
    assert step(wrapper, model, torch.randn(5, 8)).dtype == torch.bfloat16
    assert model.weight.dtype == torch.float32
    assert not torch.equal(before, model.weight)
    # Autocast has ended with the step.
    assert model(torch.randn(5, 8)).dtype == torch.float32


def test_accumulation_and_clipping_as_in_the_plain_wrapper(model):
    """Of the same inputs, up to the rounding of bfloat16."""
    torch.manual_seed(1)
    inputs = torch.randn(4, 5, 8)
    other = nn.Linear(8, 4)
    other.load_state_dict(model.state_dict())
    options = dict(accumulative_counts=2, clip_grad=dict(max_norm=0.01))
    for kind, net in ((BF16OptimWrapper, model), (OptimWrapper, other)):
        optimizer = torch.optim.SGD(net.parameters(), lr=10.0)
        wrapper = kind(optimizer, **options)
        wrapper.initialize_count_status(net, 0, len(inputs))
        for x in inputs:
            step(wrapper, net, x)
    moved = (model.weight - other.weight).abs().max()
    assert 0 < moved < 0.01


def test_is_found_by_its_name(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    cfg = dict(type='mmps.BF16OptimWrapper', optimizer=optimizer)
    assert isinstance(OPTIM_WRAPPERS.build(cfg), BF16OptimWrapper)

"""Tests of FusedAdamW with torch's fused kernel and without."""

import copy

import pytest
import torch
from torch import nn

from mmps.engine import FusedAdamW, optimizers
from mmps.registry import OPTIMIZERS

OPTIONS = dict(lr=0.1, weight_decay=0.2)


@pytest.fixture(params=[True, False])
def kernel(request, monkeypatch):
    """With this torch's own kernel, if it has one, and without."""
    if not request.param:
        monkeypatch.setattr(optimizers, 'has_kernel', lambda device: False)
    return optimizers.has_kernel(torch.device('cpu'))


def start():
    return nn.Parameter(torch.arange(6.0))


def trained(parameter, optimizer, steps):
    for _ in range(steps):
        optimizer.zero_grad()
        ((parameter - 3) ** 2).sum().backward()
        optimizer.step()
    return parameter.detach().clone()


def test_is_adamw(kernel):
    ours, theirs = start(), start()
    cfg = dict(type='mmps.FusedAdamW', params=[dict(params=[ours])], **OPTIONS)
    optimizer = OPTIMIZERS.build(cfg)
    assert isinstance(optimizer, FusedAdamW)
    assert optimizer.param_groups[0]['fused'] == kernel
    torch.testing.assert_close(
        trained(ours, optimizer, 5),
        trained(theirs, torch.optim.AdamW([theirs], **OPTIONS), 5),
    )


@pytest.mark.parametrize('saved', [True, False, None])
def test_goes_on_from_another_form(kernel, saved):
    parameter = start()
    optimizer = FusedAdamW(iter([parameter]), **OPTIONS)
    trained(parameter, optimizer, 3)
    state = copy.deepcopy(optimizer.state_dict())
    state['param_groups'][0]['fused'] = saved
    other = nn.Parameter(parameter.detach().clone())
    again = FusedAdamW([other], **OPTIONS)
    again.load_state_dict(state)
    assert again.param_groups[0]['fused'] == kernel
    torch.testing.assert_close(
        trained(other, again, 2), trained(parameter, optimizer, 2)
    )


def test_whether_there_is_a_kernel():
    new = torch.__version__ >= '2.4'  # a TorchVersion
    assert optimizers.has_kernel(torch.device('cpu')) == new

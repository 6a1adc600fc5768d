"""Tests of batch norm on batches that may be too small for it."""

import pytest
import torch
from torch import nn

from mmps.models.layers.batch_norm import batch_norm


@pytest.mark.parametrize('training', [True, False])
def test_enough_values_are_torchs(training):
    torch.manual_seed(0)
    norm, twin = (nn.BatchNorm1d(4).train(training) for _ in range(2))
    x = torch.randn(6, 4)
    assert torch.equal(batch_norm(norm, x), twin(x))
    for name, value in twin.state_dict().items():
        assert torch.equal(norm.state_dict()[name], value)


@pytest.mark.parametrize('shape', [(1, 4), (0, 4), (1, 4, 1, 1), (0, 4, 3, 2)])
def test_too_few_take_the_running_statistics_and_leave_them(shape):
    norm = nn.BatchNorm1d(4) if len(shape) == 2 else nn.BatchNorm2d(4)
    with torch.no_grad():
        norm.running_mean.copy_(torch.arange(4.0))
        norm.running_var.fill_(4.0)
        norm.weight.fill_(3.0)
        norm.bias.fill_(1.0)
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    x = torch.randn(shape)
    mean = torch.arange(4.0).reshape(-1, *[1] * (len(shape) - 2))
    want = 3 * (x - mean) / (4 + norm.eps) ** 0.5 + 1
    torch.testing.assert_close(batch_norm(norm, x), want)
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name])


def test_several_values_of_one_image_are_enough():
    norm = nn.BatchNorm2d(4)
    out = batch_norm(norm, torch.randn(1, 4, 3, 3))
    assert out.mean((0, 2, 3)).abs().max() < 1e-6
    assert norm.num_batches_tracked == 1


@pytest.mark.parametrize('num', [0, 1])
def test_other_norms_are_applied_as_they_are(num):
    norm = nn.GroupNorm(2, 4).train()
    x = torch.randn(num, 4)
    assert torch.equal(batch_norm(norm, x), norm(x))

"""Tests of the divergence from the standard normal."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from mmps.models.losses import GaussianKLLoss


def test_equals_torch_distributions():
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(5, 3, generator=generator).requires_grad_()
    log_variance = torch.randn(5, 3, generator=generator).requires_grad_()
    got = GaussianKLLoss()(mean, log_variance)
    want = (
        kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0))
        .sum(1)
        .mean()
        * 0.01
    )
    torch.testing.assert_close(got, want)
    for a, b in zip(
        torch.autograd.grad(got, (mean, log_variance), retain_graph=True),
        torch.autograd.grad(want, (mean, log_variance)),
    ):
        torch.testing.assert_close(a, b)


def test_standard_normal_and_nobody():
    zero = torch.zeros(4, 3)
    assert GaussianKLLoss()(zero, zero).item() == pytest.approx(0)
    none = torch.zeros(0, 3, requires_grad=True)
    loss = GaussianKLLoss()(none, none)
    loss.backward()
    assert loss.item() == 0

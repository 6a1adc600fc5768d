"""Tensors of any kind to arrays, in one copy."""

import numpy as np
import pytest
import torch

from mmps.utils.device import to_host


@pytest.fixture
def copies(monkeypatch):
    """Copies to the host so far."""
    made = []
    cpu = torch.Tensor.cpu
    monkeypatch.setattr(
        torch.Tensor, 'cpu', lambda t: made.append(t) or cpu(t)
    )
    return made


def test_any_shape_and_kind_in_one_copy(copies):
    torch.manual_seed(0)
    values = [
        torch.randn(3, 4).T,
        torch.randn(5).bfloat16(),
        torch.rand(2, 3, 2).half().requires_grad_(),
        torch.tensor([2**40 + 1, -1]),
        torch.tensor([True, False, True]),
        torch.zeros(0, 7),
        torch.tensor(2.5).double(),
        np.arange(3, dtype=np.int32),
        torch.tensor([float('nan'), -0.0]),
    ]
    arrays = to_host(*values)
    assert len(copies) == 1
    for value, array in zip(values, arrays, strict=True):
        want = torch.as_tensor(value).detach()
        want = want.float() if want.is_floating_point() else want
        assert array.dtype == want.numpy().dtype
        np.testing.assert_array_equal(array, want.numpy())
        # Each of its own memory: one of them does not keep all alive.
        assert array.base is None or array.base.nbytes == array.nbytes


def test_one_tensor():
    x = torch.rand(2, 2)
    (array,) = to_host(x)
    x.zero_()
    assert array.any()

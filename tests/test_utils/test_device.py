"""Tests of the device of a run, on pretended machines, and of copies."""

import logging

import mmcv.ops
import mmengine.device.utils as mmengine_device
import numpy as np
import pytest
import torch
from mmengine.device import get_device

from mmps.utils import device

NO_KERNEL = (
    'roi_align_forward_impl: implementation for device cuda:0 not found.'
)


@pytest.fixture
def machine(monkeypatch):
    """Says what there is, and keeps what is logged."""
    logged = []

    def set_up(gpus=1, operators=True):
        logged.clear()
        device.has_cuda.cache_clear()
        monkeypatch.setattr(torch.cuda, 'is_available', lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
        name = 'cuda' if gpus else 'cpu'
        monkeypatch.setattr(mmengine_device, 'DEVICE', name)
        asked = []

        def zeros(*size, device):
            asked.append(str(device))
            return torch.empty(size)

        def roi_align(x, rois, size):
            if not operators:
                raise RuntimeError(f'{NO_KERNEL}\nmore')

        monkeypatch.setattr(device.torch, 'zeros', zeros)
        monkeypatch.setattr(mmcv.ops, 'roi_align', roi_align)
        return asked

    monkeypatch.setattr(
        device,
        'print_log',
        lambda text, **kwargs: logged.append((text, kwargs)),
    )
    set_up.logged = logged
    yield set_up
    device.has_cuda.cache_clear()


def test_gpu_with_operators(machine):
    machine()
    assert device.has_cuda()
    assert device.default_device() == 'cuda:0'
    device.leave_unusable_gpu()
    assert get_device() == 'cuda'
    assert machine.logged == []


def test_gpu_without_operators_is_left_with_one_line(machine):
    machine(operators=False)
    for _ in range(2):
        device.leave_unusable_gpu()
        assert not device.has_cuda()
    assert get_device() == 'cpu'
    assert device.default_device() == 'cpu'
    ((text, options),) = machine.logged
    assert '\n' not in text
    assert 'the CPU is used' in text
    assert 'docs/gpu.md' in text
    assert NO_KERNEL in text
    assert options['level'] == logging.WARNING


def test_no_gpu(machine):
    asked = machine(gpus=0)
    device.leave_unusable_gpu()
    assert device.default_device() == get_device() == 'cpu'
    assert (asked, machine.logged) == ([], [])


def test_other_accelerators_are_mmengines_business(machine, monkeypatch):
    machine(gpus=0)
    monkeypatch.setattr(mmengine_device, 'DEVICE', 'npu')
    device.leave_unusable_gpu()
    assert get_device() == 'npu'


@pytest.mark.parametrize(
    ('variables', 'expected'),
    [
        ({}, 'cuda:0'),
        ({'LOCAL_RANK': '3'}, 'cuda:3'),
        ({'SLURM_LOCALID': '5'}, 'cuda:1'),
    ],
)
def test_each_process_asks_its_own_gpu(
    machine, monkeypatch, variables, expected
):
    for name in ('LOCAL_RANK', 'SLURM_LOCALID'):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    asked = machine(gpus=4)
    assert device.has_cuda()
    assert set(asked) == {expected}


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
    arrays = device.to_host(*values)
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
    (array,) = device.to_host(x)
    x.zero_()
    assert array.any()


@pytest.mark.parametrize('count', [0, 1, 2])
def test_columns_of_few_rows(count):
    """Scores of a picture with one person are such a column."""
    rows = torch.rand(count, 5)
    boxes, scores = device.to_host(rows[:, :4], rows[:, 4])
    np.testing.assert_array_equal(boxes, rows[:, :4])
    np.testing.assert_array_equal(scores, rows[:, 4])

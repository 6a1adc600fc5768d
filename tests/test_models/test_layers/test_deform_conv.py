"""Tests of deformable convolution on a CPU against mmcv's operator."""

import pytest
import torch
from mmcv.ops import DeformConv2d

from mmps.models.layers import DeformConv, deform_conv


def make_pair(kernel=3, channels=6, out=5):
    torch.manual_seed(0)
    ours = DeformConv(channels, out, kernel)
    theirs = DeformConv2d(channels, out, kernel, padding=(kernel - 1) // 2)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('kernel', [3, 5])
@pytest.mark.parametrize('size', [(9, 7), (5, 12)])
@pytest.mark.parametrize('spread', [0.0, 0.7, 6.0])
def test_equals_operator_in_values_and_gradients(kernel, size, spread):
    ours, theirs = make_pair(kernel)
    x = torch.randn(2, 6, *size, requires_grad=True)
    offset = spread * torch.randn(2, 2 * kernel * kernel, *size)
    offset.requires_grad_()
    grads = []
    outs = []
    for module in (ours, theirs):
        out = module(x, offset)
        grad = torch.autograd.grad(
            (out * torch.arange(out.numel()).reshape(out.shape).cos()).sum(),
            (x, offset, module.weight),
        )
        outs.append(out)
        grads.append(grad)
    torch.testing.assert_close(outs[0], outs[1], atol=1e-4, rtol=1e-4)
    # At integer positions bilinear sampling has two one-sided gradients.
    names = ('x', 'weight') if spread == 0 else ('x', 'offset', 'weight')
    for name, one, two in zip(('x', 'offset', 'weight'), *grads):
        if name in names:
            torch.testing.assert_close(one, two, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize('kernel', [1, 3, 5])
@pytest.mark.parametrize('num', [1, 3])
def test_without_gradients_the_same(kernel, num):
    ours, _ = make_pair(kernel)
    x = torch.randn(num, 6, 9, 7)
    offset = 2 * torch.randn(num, 2 * kernel * kernel, 9, 7)
    want = ours(x, offset)
    with torch.no_grad():
        got = ours(x, offset)
        with torch.autocast('cpu', dtype=torch.bfloat16):
            under_autocast = ours(x, offset)
    torch.testing.assert_close(got, want.detach(), atol=1e-5, rtol=1e-5)
    # What is searched by stays in fp32.
    torch.testing.assert_close(under_autocast, got, rtol=0, atol=0)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_without_gradients_large_maps(dtype):
    """More locations than are sampled at a time, not a multiple of them."""
    ours, _ = make_pair()
    ours.to(dtype)
    x = torch.randn(2, 6, 37, 31, dtype=dtype)
    offset = 5 * torch.randn(2, 18, 37, 31, dtype=dtype)
    want = ours(x, offset).detach()
    with torch.no_grad():
        got = ours(x, offset)
    assert got.is_contiguous()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(got, want, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -1e30, 1e30])
def test_points_that_are_nowhere_are_outside(value):
    ours, theirs = make_pair()
    x, offset = torch.randn(1, 6, 9, 7), torch.randn(1, 18, 9, 7)
    offset[0, 4, 3, 2] = offset[0, 11, 0, 0] = value
    with torch.no_grad():
        torch.testing.assert_close(
            ours(x, offset), theirs(x, offset), atol=1e-5, rtol=1e-5
        )


def test_without_gradients_and_without_mkl(monkeypatch):
    ours, _ = make_pair()
    x, offset = torch.randn(2, 6, 9, 7), torch.randn(2, 18, 9, 7)
    with torch.no_grad():
        want = ours(x, offset)
        monkeypatch.setattr(deform_conv, '_has_sparse_product', lambda: False)
        monkeypatch.setattr(deform_conv, '_by_sparse_product', None)
        torch.testing.assert_close(ours(x, offset), want, atol=1e-5, rtol=1e-5)


def test_the_sparse_product_is_for_the_cpu():
    with torch.no_grad():
        assert deform_conv._runs_as_written(torch.empty(1))
        assert not deform_conv._runs_as_written(torch.empty(1, device='meta'))


def test_without_gradients_few_samples_are_held():
    ours, _ = make_pair(channels=32, out=1)
    x, offset = torch.randn(1, 32, 64, 64), torch.randn(1, 18, 64, 64)
    held = []
    for grad in (True, False):
        with (
            torch.set_grad_enabled(grad),
            torch.profiler.profile(profile_memory=True) as prof,
        ):
            ours(x, offset)
        held.append(max(e.self_cpu_memory_usage for e in prof.events()))
    assert held[0] == 9 * x.numel() * 4
    assert held[0] > 3 * held[1]


def test_equals_a_loop_over_points():
    ours, _ = make_pair()
    x = torch.randn(1, 6, 4, 5)
    offset = 2 * torch.randn(1, 18, 4, 5)
    out = ours(x, offset)

    def sample(y, x_pos):
        total = torch.zeros(6)
        y0, x0 = int(torch.floor(y)), int(torch.floor(x_pos))
        for row in (y0, y0 + 1):
            for col in (x0, x0 + 1):
                if 0 <= row < 4 and 0 <= col < 5:
                    weight = (1 - abs(y - row)) * (1 - abs(x_pos - col))
                    total = total + weight * x[0, :, row, col]
        return total

    for row in range(4):
        for col in range(5):
            want = torch.zeros(5)
            for k in range(9):
                dy, dx = offset[0, 2 * k : 2 * k + 2, row, col]
                point = sample(row + k // 3 - 1 + dy, col + k % 3 - 1 + dx)
                want += ours.weight[:, :, k // 3, k % 3] @ point
            torch.testing.assert_close(
                out[0, :, row, col], want, atol=1e-5, rtol=1e-4
            )


def test_autocast_and_channels_last_are_no_obstacle():
    ours, _ = make_pair()
    x, offset = torch.randn(2, 6, 8, 8), torch.randn(2, 18, 8, 8)
    want = ours(x, offset)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = ours(x, offset)
    assert got.dtype == torch.float32
    # Products in bf16, positions in fp32: 8 bits of 54 summed products.
    torch.testing.assert_close(got, want, atol=0.05, rtol=0.05)
    last = torch.channels_last
    moved = ours.to(memory_format=last)
    got = moved(x.to(memory_format=last), offset.to(memory_format=last))
    torch.testing.assert_close(got, want)
    assert moved(x.bfloat16(), offset).dtype == torch.float32


def test_state_dict_is_mmcvs():
    ours, theirs = make_pair()
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.gpu
@pytest.mark.parametrize('num', [2, 33, 36])
@pytest.mark.parametrize('size', [(9, 7), (2, 2)])
def test_cpu_equals_cuda(size, num):
    ours, _ = make_pair()
    x, offset = torch.randn(num, 6, *size), torch.randn(num, 18, *size)
    want = ours(x, offset)
    got = ours.cuda()(x.cuda(), offset.cuda())
    torch.testing.assert_close(got.cpu(), want, atol=1e-4, rtol=1e-4)


def test_maps_at_a_time_divide_their_number():
    for num in range(1, 200):
        step = deform_conv.maps_at_a_time(num)
        assert num % step == 0
        assert step == max(n for n in range(1, 33) if num % n == 0)


@pytest.mark.parametrize('num', [1, 32, 33, 36, 37])
def test_operator_of_a_gpu_takes_any_number_of_maps(num, monkeypatch):
    """mmcv checks what it takes on a CPU, too."""
    ours, _ = make_pair()
    x, offset = torch.randn(num, 6, 4, 5), torch.randn(num, 18, 4, 5)
    want = ours(x, offset)
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    got = ours(x, offset)
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)

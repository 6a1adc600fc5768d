"""Tests of attention on RoI features against the formulas written out."""

import pytest
import torch
import torch.nn.functional as F

from mmps.registry import MODELS


def build(name, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(type=f'mmps.{name}', in_channels=6, **kwargs))


def conv_by_loop(maps, weight, dilation):
    """A 3 x 3 convolution of (C, H, W), zero outside, tap by tap."""
    _, height, width = maps.shape
    out = torch.zeros(len(weight), height, width)
    for y in range(height):
        for x in range(width):
            for i in range(3):
                for j in range(3):
                    yy = y + (i - 1) * dilation
                    xx = x + (j - 1) * dilation
                    if 0 <= yy < height and 0 <= xx < width:
                        out[:, y, x] += weight[:, :, i, j] @ maps[:, yy, xx]
    return out


def test_pam_shares_one_kernel_over_dilations():
    pam = build('PedestrianAttention', channels=4)
    assert len([p for p in pam.parameters() if p.shape[2:] == (3, 3)]) == 1
    x = torch.randn(2, 6, 7, 5)
    got = pam.attention(x)
    for image in range(2):
        maps = torch.stack((x[image].mean(0), x[image].amax(0)))
        seen = torch.cat(
            [conv_by_loop(maps, pam.conv.weight, d).relu() for d in (1, 2, 3)]
        )
        se = pam.se
        squeezed = seen.mean((1, 2))
        hidden = (
            se.conv1.conv.weight[:, :, 0, 0] @ squeezed + se.conv1.conv.bias
        ).relu()
        excited = (
            se.conv2.conv.weight[:, :, 0, 0] @ hidden + se.conv2.conv.bias
        ).sigmoid()
        weighed = seen * excited[:, None, None]
        want = torch.einsum(
            'c,chw->hw', pam.out.weight[0, :, 0, 0], weighed
        ).sigmoid()
        torch.testing.assert_close(got[image, 0], want, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(pam(x), x * got)


def test_spatial_attention():
    module = build('SpatialAttention', kernel_size=3)
    x = torch.randn(2, 6, 5, 4)
    for image in range(2):
        maps = torch.stack((x[image].mean(0), x[image].amax(0)))
        weight = conv_by_loop(maps, module.conv.weight, 1).sigmoid()
        torch.testing.assert_close(
            module(x)[image], x[image] * weight, atol=1e-5, rtol=1e-5
        )


def test_cbam_weighs_channels_then_positions():
    module = build('CBAM', ratio=2)
    x = torch.randn(2, 6, 5, 4)
    first, _, last = module.mlp

    def mlp(v):
        hidden = (first.weight @ v + first.bias).relu()
        return last.weight @ hidden + last.bias

    for image in range(2):
        one = x[image]
        weight = (mlp(one.mean((1, 2))) + mlp(one.amax((1, 2)))).sigmoid()
        weighed = one * weight[:, None, None]
        torch.testing.assert_close(
            module(x)[image], module.spatial(weighed[None])[0]
        )


@pytest.mark.parametrize('name', ['PedestrianAttention', 'CBAM'])
def test_trains_every_parameter(name):
    module = build(name)
    module.init_weights()
    x = torch.randn(3, 6, 8, 4, requires_grad=True)
    F.mse_loss(module(x), torch.zeros_like(x)).backward()
    assert all(p.grad.any() for p in module.parameters())
    assert x.grad.any()


def test_no_roi():
    for name in ('PedestrianAttention', 'SpatialAttention', 'CBAM'):
        x = torch.zeros(0, 6, 8, 4)
        assert build(name)(x).shape == x.shape


def test_non_local_is_mmcvs():
    module = MODELS.build(dict(type='NonLocal2d', in_channels=6))
    x = torch.randn(2, 6, 5, 4)
    assert module(x).shape == x.shape

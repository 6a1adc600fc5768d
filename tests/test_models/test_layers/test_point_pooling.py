"""Tests of CPP and of the plain convolution in its place."""

import pytest
import torch
from torch.nn import functional as F

from mmps.models.layers import (
    ContextualPointPooling,
    ConvPointPooling,
    IdentityPointPooling,
)

SIZES = [(8, 6), (4, 3)]


def pyramid(num=2, channels=4):
    torch.manual_seed(1)
    return [torch.randn(num, channels, *size) for size in SIZES]


def make(**kwargs):
    torch.manual_seed(0)
    cfg = dict(in_channels=4, out_channels=5, num_levels=2, offset_channels=8)
    pooling = ContextualPointPooling(**{**cfg, **kwargs})
    pooling.init_weights()
    return pooling


def test_offsets_start_away_from_zero_and_follow_the_level_scale():
    pooling, feats = make(), pyramid()
    _, before = pooling(feats)
    assert min(o.abs().mean() for o in before) > 0
    pooling.offset_scales[1].scale.data.mul_(3)
    _, after = pooling(feats)
    torch.testing.assert_close(after[0], before[0])
    torch.testing.assert_close(after[1], 3 * before[1])


def test_zero_offsets_are_a_plain_convolution():
    pooling, feats = make(), pyramid()
    torch.nn.init.zeros_(pooling.offset_pred.weight)
    pooled, _ = pooling(feats)
    for x, out, conv in zip(feats, pooled, pooling.point_convs):
        want = F.conv2d(x, conv.weight, padding=1)
        torch.testing.assert_close(out[:, 0], want, atol=1e-5, rtol=1e-4)


def test_levels_have_their_own_weights_unless_shared():
    own, shared = make(), make(share_weights=True)
    weights = [c.weight for c in own.point_convs]
    assert weights[0] is not weights[1]
    assert shared.point_convs[0] is shared.point_convs[1]
    parameters = [
        sum(p.numel() for p in m.parameters()) for m in (own, shared)
    ]
    assert parameters[0] - parameters[1] == 5 * 4 * 9


def test_anchors_share_weights_and_have_their_own_offsets():
    pooling, feats = make(num_anchors=2), pyramid()
    pooled, offsets = pooling(feats)
    for x, out, offset, conv in zip(
        feats, pooled, offsets, pooling.point_convs
    ):
        assert not torch.allclose(offset[:, 0], offset[:, 1])
        for anchor in range(2):
            want = conv(x, offset[:, anchor])
            torch.testing.assert_close(out[:, anchor], want)


def test_points_are_location_plus_grid_plus_offset():
    pooling = make()
    centres = torch.tensor([[20.0, 40.0], [8.0, 8.0]])
    strides = torch.tensor([8.0, 16.0])
    offsets = torch.randn(2, 18)
    points = pooling.points(centres, offsets, strides)
    for p in range(2):
        for k in range(9):
            y = k // 3 - 1 + offsets[p, 2 * k]
            x = k % 3 - 1 + offsets[p, 2 * k + 1]
            want = centres[p] + strides[p] * torch.stack((x, y))
            torch.testing.assert_close(points[p, k], want)


@pytest.mark.parametrize('num_points', [4, 8, 10])
def test_number_of_points_is_checked(num_points):
    with pytest.raises(ValueError, match='square of an odd number'):
        make(num_points=num_points)


def test_conv_pooling_equals_convolutions():
    torch.manual_seed(0)
    pooling = ConvPointPooling(4, 5, num_levels=2, num_anchors=2)
    pooling.init_weights()
    feats = pyramid()
    pooled, offsets = pooling(feats)
    assert offsets is None
    for x, out, conv in zip(feats, pooled, pooling.point_convs):
        want = F.conv2d(x, conv.weight, conv.bias, padding=1)
        torch.testing.assert_close(out[:, 1], want[:, 5:])
        assert out.std() > 0


@pytest.mark.parametrize(
    'kind', [ContextualPointPooling, ConvPointPooling], ids=['cpp', 'conv']
)
def test_point_convolutions_start_as_in_the_release(kind):
    """Uniform within 1 / sqrt(fan in)."""
    torch.manual_seed(0)
    pooling = kind(64, 32, num_levels=2)
    for _ in range(2):
        pooling.init_weights()
    bound = (64 * 9) ** -0.5
    for conv in pooling.point_convs:
        weight = conv.weight.detach()
        assert 0.99 * bound < float(weight.abs().max()) <= bound
        spread = float(weight.std())
        assert spread == pytest.approx(bound / 3**0.5, rel=0.02)
        if kind is ConvPointPooling:
            assert not conv.bias.any()


def test_identity_pooling_hands_on_the_pyramid():
    feats = pyramid()
    pooled, offsets = IdentityPointPooling(4, 4, 2, num_anchors=2)(feats)
    assert offsets is None
    for x, out in zip(feats, pooled):
        torch.testing.assert_close(out, torch.stack((x, x), 1))
    with pytest.raises(ValueError, match='must equal its channels'):
        IdentityPointPooling(4, 5, 2)

"""Tests of poolings for re-identification against loops over positions."""

import pytest
import torch

from mmps.models.layers import (
    MaxPooling,
    MeanPooling,
    NormAttention,
    PrototypeGuidedAttention,
)


def maps(num=3, channels=8, size=(3, 2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(num, channels, *size, generator=generator)


def positions(x):
    return [x[:, h, w] for h in range(x.size(1)) for w in range(x.size(2))]


@pytest.mark.parametrize('kind', [MaxPooling, MeanPooling])
def test_max_and_mean(kind):
    x = maps()
    got, attention = kind()(x)
    assert attention is None
    for i in range(3):
        column = torch.stack(positions(x[i]))
        want = column.amax(0) if kind is MaxPooling else column.mean(0)
        torch.testing.assert_close(got[i], want)


def test_mean_of_the_projected_map_on_demand():
    assert not MeanPooling().projected
    assert MeanPooling(projected=True).projected


def test_pga_is_a_weighted_mean():
    torch.manual_seed(0)
    pool = PrototypeGuidedAttention(
        8, (3, 2), channel_ratio=4, spatial_ratio=3
    )
    f = maps()
    got, attention = pool(f)

    def two_layers(layers, v):
        hidden = (layers[0].weight @ v + layers[0].bias).relu()
        return layers[2].weight @ hidden + layers[2].bias

    for i in range(3):
        at = positions(f[i])
        z = two_layers(pool.channel, sum(at) / 6).sigmoid()
        descriptor = torch.stack([(z * v).mean() for v in at])
        weights = two_layers(pool.spatial, descriptor).sigmoid()
        torch.testing.assert_close(attention[i].flatten(), weights)
        want = sum(w * v for w, v in zip(weights, at)) / weights.sum()
        torch.testing.assert_close(got[i], want)


def test_pga_sizes_of_the_paper():
    seven = PrototypeGuidedAttention()
    assert [m.out_features for m in (seven.channel[0], seven.spatial[0])] == [
        32,
        7,
    ]
    fourteen = PrototypeGuidedAttention(size=(14, 14))
    assert fourteen.spatial[0].in_features == 196
    assert fourteen.spatial[0].out_features == 28


def test_pga_of_another_size_says_so():
    pool = PrototypeGuidedAttention(8, (7, 7))
    with pytest.raises(ValueError, match=r'size=\(7, 7\).*have \(3, 2\)'):
        pool(maps())


def test_norm_attention_in_training():
    pool = NormAttention()
    f = maps()
    got, logits = pool(f)
    lengths = torch.stack(
        [torch.stack(positions(one)).norm(dim=1) for one in f]
    )
    mean, var = lengths.mean(), lengths.var(correction=0)
    want = (lengths - mean) / (var + pool.norm.eps).sqrt()
    torch.testing.assert_close(logits.flatten(1), want)
    for i in range(3):
        at = positions(f[i])
        weights = want[i].sigmoid()
        pooled = sum(w * v / v.norm() for w, v in zip(weights, at)) / 6
        torch.testing.assert_close(got[i], pooled)


def test_norm_attention_of_one_position_and_of_none():
    pool = NormAttention()
    before = pool.norm.running_mean.clone()
    assert pool(maps(1, size=(1, 1)))[0].isfinite().all()
    assert pool(maps(0))[0].shape == (0, 8)
    assert torch.equal(pool.norm.running_mean, before)

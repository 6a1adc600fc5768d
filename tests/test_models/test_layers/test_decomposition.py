"""Tests of the decompositions against loops over positions."""

import pytest
import torch

from mmps.models.layers import (
    FlattenDecomposition,
    MarginalDecomposition,
    ParameterDecomposition,
    SharedPooling,
)
from mmps.models.layers.decomposition import interleave

C, H, W = 3, 4, 2


def rois():
    return torch.randn(5, C, H, W, generator=torch.Generator().manual_seed(0))


def test_marginals():
    x = rois()
    parts = MarginalDecomposition(C, (H, W))(x)
    for i in range(5):
        for c in range(C):
            for y in range(H):
                want = sum(x[i, c, y, k] for k in range(W)) / W
                assert parts.vertical[i, c * H + y] == pytest.approx(
                    want.item(), abs=1e-6
                )
            for k in range(W):
                want = sum(x[i, c, y, k] for y in range(H)) / H
                assert parts.horizontal[i, c * W + k] == pytest.approx(
                    want.item(), abs=1e-6
                )
            assert parts.cls[i, c] == pytest.approx(
                x[i, c].mean().item(), abs=1e-6
            )


def test_parameters_start_as_the_marginals_and_have_their_shapes():
    x = rois()
    learned = ParameterDecomposition(C, (H, W))
    for a, b in zip(learned(x), MarginalDecomposition(C, (H, W))(x)):
        torch.testing.assert_close(a, b)
    # Each position has a weight of its own.
    with torch.no_grad():
        learned.over_x.weight[1 * 1, 1] = 7.0  # channel 1, column 1
    changed = (
        learned(x).vertical - MarginalDecomposition(C, (H, W))(x).vertical
    )
    changed = changed.reshape(5, C, H)
    assert not changed[:, [0, 2]].abs().max() > 1e-5
    torch.testing.assert_close(
        changed[:, 1], (7 - 1 / W) * x[:, 1, :, 1], atol=1e-5, rtol=1e-5
    )


def test_shared_and_flat():
    x = rois()
    for feature in SharedPooling(C, (H, W))(x):
        torch.testing.assert_close(feature, x.amax((2, 3)))
    for feature in SharedPooling(C, (H, W), 'mean')(x):
        torch.testing.assert_close(feature, x.mean((2, 3)))
    for feature in FlattenDecomposition(C, (H, W))(x):
        torch.testing.assert_close(feature, x.reshape(5, -1))


@pytest.mark.parametrize(
    'kind',
    [
        SharedPooling,
        FlattenDecomposition,
        ParameterDecomposition,
        MarginalDecomposition,
    ],
)
def test_announces_its_sizes(kind):
    part = kind(C, (H, W))
    for num in (0, 5):
        sizes = [f.shape for f in part(rois()[:num])]
        assert sizes == [(num, channels) for channels in part.channels]


def test_deltas_are_interleaved_for_the_coder():
    vertical = torch.tensor([[1.0, 2.0]])  # dy, dh
    horizontal = torch.tensor([[3.0, 4.0]])  # dx, dw
    assert interleave(vertical, horizontal).tolist() == [[3, 1, 4, 2]]


def test_bad_mode():
    with pytest.raises(ValueError, match="'max' or 'mean', got 'sum'"):
        SharedPooling(C, (H, W), 'sum')

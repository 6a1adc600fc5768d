"""Tests of DistanceLoss against eq. 6 written as a loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.losses import DistanceLoss
from mmps.registry import MODELS


def loop_loss(points_y, heights, num_sets):
    """Eq. 6, point by point; the last set takes the remaining points."""
    size = points_y.size(1) // num_sets
    total = 0.0
    for row, height in zip(points_y, heights.tolist()):
        centres = []
        for i in range(num_sets):
            stop = (i + 1) * size if i < num_sets - 1 else len(row)
            points = row[i * size : stop]
            centres.append(sum(points) / len(points))
        height = max(height, 1)
        for i in range(num_sets - 1):
            gap = centres[i + 1] - centres[i]
            total = total + (gap - height / num_sets) ** 2 / height
    return total / len(points_y)


def points(num, count=9, seed=0, dtype=torch.float64):
    """Random y coordinates in pixels."""
    generator = torch.Generator().manual_seed(seed)
    y = torch.rand(num, count, generator=generator, dtype=torch.float64)
    return (y * 200).to(dtype)


@given(
    heights=st.lists(st.floats(0, 500, width=32), min_size=1, max_size=8),
    shape=st.sampled_from([(9, 3), (9, 2), (9, 9), (4, 3), (25, 5)]),
    seed=st.integers(0, 99),
)
@settings(max_examples=50, derandomize=True, deadline=None)
def test_value_and_gradient(heights, shape, seed):
    count, num_sets = shape
    heights = torch.tensor(heights, dtype=torch.float64)
    y = points(len(heights), count, seed).requires_grad_()
    loss = DistanceLoss(num_sets)(y, heights)
    expected = loop_loss(y, heights, num_sets)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-9)
    (grad,) = torch.autograd.grad(loss, y)
    (expected_grad,) = torch.autograd.grad(expected, y)
    torch.testing.assert_close(grad, expected_grad, rtol=1e-6, atol=1e-9)


def test_figures_by_hand():
    # Rows of a 3 x 3 kernel at 10, 40 and 100; h = 90, h / M = 30.
    y = torch.tensor([10.0, 40.0, 100.0]).repeat_interleave(3)[None]
    heights = torch.tensor([90.0])
    paper = DistanceLoss()(y, heights)
    assert paper.item() == pytest.approx((0 + 30**2) / 90)
    # Two sets: four points, then five.
    two = DistanceLoss(2)(y, heights)
    first, last = (30 + 40) / 4, (80 + 300) / 5
    assert two.item() == pytest.approx((last - first - 45) ** 2 / 90)


def test_no_loss_where_the_sets_are_spread_evenly():
    heights = torch.tensor([30.0, 240.0, 77.0])
    steps = torch.tensor([-1.0, 0.0, 1.0]).repeat_interleave(3)
    y = 50 + heights[:, None] / 3 * steps
    assert DistanceLoss()(y, heights).item() == pytest.approx(0, abs=1e-9)


def test_gradcheck():
    heights = torch.tensor([31.0, 240.0], dtype=torch.float64)
    loss = DistanceLoss(3)
    assert torch.autograd.gradcheck(
        lambda y: loss(y, heights), points(2).requires_grad_()
    )


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision_and_autocast(dtype):
    y, heights = points(4, dtype=dtype), torch.tensor([40.0, 80, 300, 7])
    expected = DistanceLoss()(y.float(), heights)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = DistanceLoss()(y, heights)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_heights_get_no_gradient():
    y = points(2).requires_grad_()
    heights = torch.tensor([40.0, 80.0]).requires_grad_()
    DistanceLoss()(y, heights).backward()
    assert heights.grad is None
    assert y.grad.any()


def test_boxes_without_height():
    heights = torch.tensor([0.0, 0.2, 2.0])
    y = points(3, dtype=torch.float32).requires_grad_()
    loss = DistanceLoss()(y, heights)
    loss.backward()
    assert loss.isfinite()
    assert y.grad.isfinite().all()
    bounded = DistanceLoss(min_height=16.0)(y[:1], heights[:1])
    expected = DistanceLoss()(y[:1], torch.tensor([16.0]))
    assert torch.equal(bounded, expected)


def test_no_positive_location():
    y = torch.empty(0, 9, requires_grad=True)
    loss = DistanceLoss()(y, torch.empty(0))
    assert loss.item() == 0
    loss.backward()
    assert y.grad.shape == (0, 9)


def test_avg_factor_and_weight():
    y, heights = points(4), torch.tensor([40.0, 80, 300, 7])
    mean = DistanceLoss()(y, heights)
    for factor in (8, torch.tensor(8.0)):
        loss = DistanceLoss(loss_weight=3.0)(y, heights, factor)
        torch.testing.assert_close(loss, mean * 1.5, rtol=1e-6, atol=0)


def test_bad_input():
    with pytest.raises(ValueError, match='num_sets must be 2 or more'):
        DistanceLoss(1)
    with pytest.raises(ValueError, match='min_height must be positive'):
        DistanceLoss(min_height=0)
    with pytest.raises(ValueError, match='9 points cannot form 10 sets'):
        DistanceLoss(10)(points(2), torch.ones(2))
    with pytest.raises(ValueError, match=r'got \(2, 9\) and \(3,\)'):
        DistanceLoss()(points(2), torch.ones(3))


def test_builds_from_a_config():
    loss = MODELS.build(dict(type='mmps.DistanceLoss', num_sets=2))
    assert (loss.num_sets, loss.loss_weight) == (2, 1.0)

"""Tests of IRRLoss: smooth-L1 and CIoU against loops."""

import math

import pytest
import torch

from mmps.models.losses import IRRLoss
from mmps.models.losses.functional import ciou_loss
from mmps.testing import DispatchedOperators


def boxes(num, seed):
    generator = torch.Generator().manual_seed(seed)
    corner = 20 * torch.rand(num, 2, generator=generator).double()
    size = 5 + 20 * torch.rand(num, 2, generator=generator).double()
    return torch.cat((corner, corner + size), 1)


def loop_ciou(a, b):
    """Eq. 3 of one pair; alpha has no gradient."""
    width = (torch.min(a[2], b[2]) - torch.max(a[0], b[0])).clamp(min=0)
    height = (torch.min(a[3], b[3]) - torch.max(a[1], b[1])).clamp(min=0)
    area = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    iou = width * height / (area - width * height)
    centre = [(x[0] + x[2]) / 2 for x in (a, b)]
    middle = [(x[1] + x[3]) / 2 for x in (a, b)]
    rho = (centre[0] - centre[1]) ** 2 + (middle[0] - middle[1]) ** 2
    wide = torch.max(a[2], b[2]) - torch.min(a[0], b[0])
    high = torch.max(a[3], b[3]) - torch.min(a[1], b[1])
    angle = [torch.atan((x[2] - x[0]) / (x[3] - x[1])) for x in (a, b)]
    v = 4 / math.pi**2 * (angle[1] - angle[0]) ** 2
    alpha = (v / (1 - iou + v)).detach()
    return 1 - iou + rho / (wide**2 + high**2) + alpha * v


def test_ciou_value_and_gradient():
    # Some pairs overlap, some do not, one is nearly equal.
    pred, target = boxes(9, 0), boxes(9, 1)
    pred[7] += 100
    pred[8] = target[8] + 0.01
    pred.requires_grad_()
    got = ciou_loss(pred, target)
    want = torch.stack([loop_ciou(a, b) for a, b in zip(pred, target)])
    torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-7)
    (grad,) = torch.autograd.grad(got.sum(), pred)
    (want_grad,) = torch.autograd.grad(want.sum(), pred)
    torch.testing.assert_close(grad, want_grad, rtol=1e-5, atol=1e-7)


def test_ciou_has_no_gate_below_half_overlap():
    """Unlike mmdet's, which drops the shape term there."""
    a = torch.tensor([[0.0, 0, 10, 10]], dtype=torch.float64)
    b = torch.tensor([[6.0, -5, 11, 15]], dtype=torch.float64)
    assert float(ciou_loss(a, b)) == pytest.approx(
        float(loop_ciou(a[0], b[0])), rel=1e-6
    )


def test_equal_boxes():
    a = boxes(3, 0).requires_grad_()
    loss = ciou_loss(a, a.detach())
    loss.sum().backward()
    torch.testing.assert_close(
        loss, torch.zeros(3).double(), atol=1e-6, rtol=0
    )
    assert a.grad.isfinite().all()


@pytest.mark.parametrize('avg_factor', [None, 32])
def test_weights_of_both_parts(avg_factor):
    generator = torch.Generator().manual_seed(2)
    pred = torch.randn(6, 4, generator=generator).requires_grad_()
    target = torch.randn(6, 4, generator=generator)
    a, b = boxes(6, 0).float(), boxes(6, 1).float()
    got = IRRLoss(loss_weight=5.0)(pred, target, a, b, avg_factor)
    want = 0.0
    for i in range(6):
        for difference in (pred[i] - target[i]).abs():
            far = difference >= 1
            term = difference - 0.5 if far else 0.5 * difference**2
            want = want + 0.3 * term
        want = want + 0.7 * loop_ciou(a[i].double(), b[i].double()).float()
    torch.testing.assert_close(got, 5 * want / (avg_factor or 6))
    (grad,) = torch.autograd.grad(got, pred, retain_graph=True)
    (want_grad,) = torch.autograd.grad(5 * want / (avg_factor or 6), pred)
    torch.testing.assert_close(grad, want_grad)


def test_no_people():
    pred = torch.zeros(0, 4, requires_grad=True)
    loss = IRRLoss()(pred, pred.detach(), pred, pred.detach(), 16)
    loss.backward()
    assert loss.item() == 0
    assert pred.grad is not None


def test_no_products_along_an_axis():
    """On a GPU their gradient waits for the device."""
    pred = boxes(4, 0).requires_grad_()
    with DispatchedOperators() as operators:
        ciou_loss(pred, boxes(4, 1)).sum().backward()
    assert 'aten::prod' not in operators.counts
    assert operators.waits == 0

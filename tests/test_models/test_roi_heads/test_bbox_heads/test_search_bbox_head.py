"""Tests of SearchBBoxHead's losses that mmdet's box head does not have."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.bbox_heads import BBoxHead

from mmps.models.losses.functional import ciou_loss
from mmps.registry import MODELS
from mmps.testing import DispatchedOperators


def head(**kwargs):
    torch.manual_seed(0)
    cfg = dict(
        type='mmps.SearchBBoxHead',
        in_channels=6,
        roi_feat_size=(4, 2),
        loss_cls=dict(type='mmdet.CrossEntropyLoss', loss_weight=2.0),
        loss_bbox=dict(type='mmdet.SmoothL1Loss'),
    )
    return MODELS.build({**cfg, **kwargs})


ROIS = torch.tensor(
    [[0.0, 10, 10, 30, 50], [0, 0, 0, 20, 40], [1, 5, 5, 25, 45]]
)
TRUTH = torch.tensor([[14.0, 12, 26, 48], [0, 10, 10, 60], [5, 5, 25, 45]])
LABELS = torch.tensor([0, 0, 1])


def targets(model):
    deltas = model.bbox_coder.encode(ROIS[:, 1:], TRUTH)
    return LABELS, torch.ones(3), deltas, torch.ones(3, 4)


def test_pixel_loss_equals_a_loop_over_positions():
    model = head()
    logits = torch.randn(3, 4, 2, requires_grad=True)
    got = model.pixel_loss(logits, ROIS, targets(model))
    want, inside = 0.0, 0
    for i in range(3):
        x1, y1, x2, y2 = ROIS[i, 1:].tolist()
        for row in range(4):
            for col in range(2):
                x = x1 + (col + 0.5) * (x2 - x1) / 2
                y = y1 + (row + 0.5) * (y2 - y1) / 4
                a, b, c, d = TRUTH[i].tolist()
                person = a <= x <= c and b <= y <= d and LABELS[i] == 0
                inside += person
                p = logits[i, row, col].sigmoid()
                want = want - (p if person else 1 - p).log()
    assert 0 < inside < 16  # some positions of people are background
    torch.testing.assert_close(got, 2 * want / 24)
    (grad,) = torch.autograd.grad(got, logits, retain_graph=True)
    (want_grad,) = torch.autograd.grad(2 * want / 24, logits)
    torch.testing.assert_close(grad, want_grad)


def test_irr_gets_the_boxes_of_people():
    model = head(loss_bbox=dict(type='mmps.IRRLoss', loss_weight=5.0))
    pred = (0.1 * torch.randn(3, 4)).requires_grad_()
    logits = torch.randn(3, 2)
    losses = model.loss(logits, pred, ROIS, *targets(model))
    _, _, wanted, _ = targets(model)
    want = 0.0
    for i in range(2):
        box = model.bbox_coder.decode(ROIS[i : i + 1, 1:], pred[i : i + 1])
        want = want + 0.3 * F.smooth_l1_loss(
            pred[i], wanted[i], reduction='sum'
        )
        want = want + 0.7 * ciou_loss(box, TRUTH[i : i + 1])[0]
    torch.testing.assert_close(
        losses['loss_bbox'], 5 * want / 3, rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(
        losses['loss_cls'], 2 * F.cross_entropy(logits, LABELS)
    )
    (grad,) = torch.autograd.grad(losses['loss_bbox'], pred)
    assert not grad[2].any()


def test_people_are_looked_for_once(monkeypatch):
    """Every index by a mask waits for the device."""
    model = head(loss_bbox=dict(type='mmps.IRRLoss'))
    pred = torch.randn(3, 4, requires_grad=True)
    wanted = targets(model)
    monkeypatch.setattr(BBoxHead, 'loss', lambda *args: {})
    with DispatchedOperators() as operators:
        model.loss(torch.randn(3, 2), pred, ROIS, *wanted)
    assert operators.waits == 1


def test_deltas_are_in_the_coders_order():
    model = head(reg_norm=False)
    with torch.no_grad():
        for layer, bias in (
            (model.fc_vertical, [1.0, 2.0]),
            (model.fc_horizontal, [3.0, 4.0]),
        ):
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor(bias))
    _, deltas = model(torch.randn(2, 6, 4, 2))
    assert deltas.tolist() == [[3, 1, 4, 2]] * 2


def test_one_class_only():
    with pytest.raises(ValueError, match='knows one class'):
        head(num_classes=2)

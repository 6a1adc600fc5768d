"""Losses on boxes."""

import math

import torch
from torch import Tensor

from ...utils.precision import precise


def ciou_loss(pred: Tensor, target: Tensor, eps: float = 1e-7) -> Tensor:
    r"""``1 - IoU + d^2 / c^2 + alpha v`` of paired boxes.

    d is the distance of the centres, c the diagonal of the smallest box
    around both, ``v = 4 / pi^2 (atan(w*/h*) - atan(w/h))^2`` and ``alpha = v
    / (1 - IoU + v)``, which gets no gradient. mmdet's `CIoULoss` switches
    alpha off below IoU 0.5; eq. 3 does not.

    Source: Zheng et al., "Distance-IoU Loss", AAAI 2020; IIDFC, eq. 3.

    Args:
        pred (Tensor): (n, 4), xyxy.
        target (Tensor): (n, 4), xyxy.
        eps (float): Added to denominators. Defaults to 1e-7.

    Returns:
        Tensor: (n,) losses.
    """
    pred, target = precise(pred), precise(target)
    start = torch.maximum(pred[:, :2], target[:, :2])
    end = torch.minimum(pred[:, 2:], target[:, 2:])
    inter = _area((end - start).clamp(min=0))
    size, want = pred[:, 2:] - pred[:, :2], target[:, 2:] - target[:, :2]
    union = _area(size) + _area(want) - inter
    iou = inter / (union + eps)
    around = torch.maximum(pred[:, 2:], target[:, 2:]) - torch.minimum(
        pred[:, :2], target[:, :2]
    )
    apart = (pred[:, :2] + pred[:, 2:] - target[:, :2] - target[:, 2:]) / 2
    distance = apart.square().sum(1) / (around.square().sum(1) + eps)
    angles = [torch.atan(x[:, 0] / (x[:, 1] + eps)) for x in (size, want)]
    shape = 4 / math.pi**2 * (angles[1] - angles[0]).square()
    with torch.no_grad():
        alpha = shape / (1 - iou + shape + eps)
    return 1 - iou + distance + alpha * shape


def _area(size: Tensor) -> Tensor:
    """(n,) of (n, 2); the gradient of ``prod`` waits for the device."""
    return size[:, 0] * size[:, 1]

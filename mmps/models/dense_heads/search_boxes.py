"""Features that a dense person-search head picks from its maps."""

from collections.abc import Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor


def flatten_maps(levels: Sequence[Tensor]) -> Tensor:
    """Per level (N, A, C, H, W) to (N, anchors, C), in mmdet's anchor order.

    The order is level, row, column, anchor of the location.
    """
    return torch.cat(
        [x.permute(0, 3, 4, 1, 2).flatten(1, 3) for x in levels], 1
    )


def average_neighbours(
    own: Tensor,
    boxes: Tensor,
    neighbour_feats: Tensor,
    neighbour_boxes: Tensor,
    iou_thr: float,
) -> Tensor:
    """Mean feature of the neighbours that overlap each box.

    Args:
        own (Tensor): (n, C) features of the boxes; kept where no neighbour
            overlaps enough.
        boxes (Tensor): (n, 4).
        neighbour_feats (Tensor): (m, C).
        neighbour_boxes (Tensor): (m, 4).
        iou_thr (float): IoU that makes a neighbour.

    Returns:
        Tensor: (n, C), fp32.
    """
    near = (bbox_overlaps(boxes, neighbour_boxes) >= iou_thr).float()
    count = near.sum(1, keepdim=True)
    mean = near @ neighbour_feats.float() / count.clamp(min=1)
    return torch.where(count > 0, mean, own.float())

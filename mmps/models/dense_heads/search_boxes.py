"""Boxes and features that a dense person-search head picks from its maps."""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import (
    bbox_flip,
    bbox_overlaps,
    get_box_tensor,
    scale_boxes,
)
from torch import Tensor


def flatten_maps(levels: Sequence[Tensor]) -> Tensor:
    """Per level (N, A, C, H, W) to (N, anchors, C), in mmdet's anchor order.

    The order is level, row, column, anchor of the location.
    """
    return torch.cat(
        [x.permute(0, 3, 4, 1, 2).flatten(1, 3) for x in levels], 1
    )


def boxes_in_input(sample: DetDataSample, field: str, like: Tensor) -> Tensor:
    """Boxes of a test sample's field in pixels of the network's input.

    Args:
        sample (DetDataSample): Its ``field``, if there, holds ``bboxes``
            (n, 4), xyxy in original pixels.
        field (str): 'gt_instances' or 'query_instances'.
        like (Tensor): Gives device and dtype.

    Returns:
        Tensor: (n, 4), scaled and flipped like the image; (0, 4) where the
        sample has no such field.
    """
    if field not in sample:
        return like.new_zeros(0, 4)
    boxes = get_box_tensor(getattr(sample, field).bboxes).to(like)
    boxes = scale_boxes(boxes, sample.scale_factor)
    if sample.get('flip', False):
        boxes = bbox_flip(boxes, sample.img_shape, sample.flip_direction)
    return boxes


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

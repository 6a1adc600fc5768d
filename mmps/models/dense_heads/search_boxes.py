"""Features that a dense person-search head picks from its maps."""

from collections.abc import Sequence

import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from torch import Tensor


def query_from_detections(
    test_cfg: ConfigDict, other: str, default: str
) -> bool:
    """Whether queries take their embeddings from detections.

    Args:
        test_cfg: Of the head.
        other: The other choice of ``query_from``.
        default: What it is where it is absent.

    Raises:
        ValueError: It is neither.
    """
    source = test_cfg.get('query_from', default)
    if source not in (other, 'detections'):
        raise ValueError(
            f"test_cfg.query_from: expected {other!r} or 'detections', got "
            f'{source!r}'
        )
    return source == 'detections'


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
    skip: int = 0,
    num_neighbours: Tensor | int | None = None,
) -> Tensor:
    """Mean feature of the neighbours that overlap each box.

    Args:
        own (Tensor): (n, C) features of the boxes; kept where no neighbour
            overlaps enough.
        boxes (Tensor): (n, 4).
        neighbour_feats (Tensor): (m, C).
        neighbour_boxes (Tensor): (m, 4).
        iou_thr (float): IoU that makes a neighbour.
        skip (int): So many of them, those that overlap a box least, are not
            its neighbours; the best one always may be. Defaults to 0.
        num_neighbours (Tensor | int, optional): How many of them count for
            ``skip``; the others overlap nothing. Defaults to None, all.

    Returns:
        Tensor: (n, C), fp32.
    """
    overlaps = bbox_overlaps(boxes, neighbour_boxes)
    near = overlaps >= iou_thr
    if skip and overlaps.size(1):
        if num_neighbours is None:
            num_neighbours = overlaps.size(1)
        least = _descending(overlaps, num_neighbours - skip)
        near = near & (overlaps >= least)
    near = near.float()
    count = near.sum(1, keepdim=True)
    mean = near @ neighbour_feats.float() / count.clamp(min=1)
    return torch.where(count > 0, mean, own.float())


def _descending(values: Tensor, rank: Tensor | int) -> Tensor:
    """(n, 1): the value of a rank in each row of (n, m), 1 the largest."""
    rank = torch.as_tensor(rank, device=values.device).clamp(min=1)
    ordered = values.sort(1, descending=True).values
    return ordered.index_select(1, rank.view(1) - 1)

"""Scores of RoIs, and which of their boxes stay."""

import torch
from mmdet.models.layers import multiclass_nms
from mmengine.structures import InstanceData
from torch import Tensor


def probability(logits: Tensor) -> Tensor:
    """(n, 2) logits to the (n,) probability of a person."""
    return logits.float().softmax(1)[:, 0]


def best_boxes(
    boxes: Tensor, score: Tensor, cfg: dict
) -> tuple[Tensor, Tensor]:
    """Boxes behind the threshold of scores and NMS.

    Args:
        boxes: (n, 4).
        score: (n,) probability of a person.
        cfg: ``score_thr``, ``nms`` and ``max_per_img``.

    Returns:
        (k, 5) boxes and scores, best first, and their indices (k,).
    """
    dets, _, keep = multiclass_nms(
        boxes,
        torch.stack((score, 1 - score), 1),
        cfg.get('score_thr', 0.0),
        cfg['nms'],
        cfg.get('max_per_img', -1),
        return_inds=True,
    )
    return dets, keep


def as_they_are(boxes: Tensor) -> InstanceData:
    """Annotated boxes in the place of detections."""
    return InstanceData(
        bboxes=boxes,
        scores=boxes.new_ones(len(boxes)),
        labels=torch.zeros(len(boxes), dtype=torch.long, device=boxes.device),
    )

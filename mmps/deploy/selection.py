"""Choosing boxes, with results of fixed size."""

import torch
from mmengine.config import ConfigDict
from torch import Tensor

from mmps.utils.errors import UsageError

from .operators import nms

# Of rows that must not be chosen, below every threshold in use.
_NEVER = -1.0


def select(
    boxes: Tensor,
    scores: Tensor,
    cfg: ConfigDict,
    valid: Tensor | None = None,
    groups: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Threshold, non-maximum suppression and the best of what is left.

    Args:
        boxes: (n, 4).
        scores: (n,) in 0..1.
        cfg: ``score_thr``, ``nms``, ``max_per_img`` and ``min_bbox_size`` of
            an mmdet ``test_cfg``; the first and the last may be absent.
        valid: (n,) bool, which rows there are. Defaults to None, all.
        groups: (n,) number of the group, within which alone boxes suppress
            each other. Defaults to None, one.

    Returns:
        (K,) indices, best first, and (K,) bool, which of them are valid;
        K is ``max_per_img`` or n.

    Raises:
        UsageError: Another kind of suppression than plain NMS.
    """
    options = dict(cfg['nms'])
    iou_thr = options.pop('iou_threshold', None)
    if iou_thr is None or options.pop('type', 'nms') != 'nms' or options:
        raise UsageError(
            "test_cfg.nms: ONNX has dict(type='nms', iou_threshold=...) only, "
            f'got {dict(cfg["nms"])}'
        )
    if valid is not None:
        scores = scores.masked_fill(~valid, _NEVER)
    smallest = cfg.get('min_bbox_size', -1)
    if smallest >= 0:
        sides = boxes[:, 2:] - boxes[:, :2]
        scores = scores.masked_fill((sides <= smallest).any(1), _NEVER)
    apart = boxes
    if groups is not None:
        apart = boxes + (groups.to(boxes) * (boxes.max() + 1))[:, None]
    limit = cfg.get('max_per_img', -1)
    number = len(boxes) if limit <= 0 else min(limit, len(boxes))
    threshold = cfg.get('score_thr', _NEVER / 2)
    return nms(apart, scores, iou_thr, threshold, number)


def best_of_levels(levels: list[Tensor], number: int) -> tuple[Tensor, Tensor]:
    """The best scores of each level.

    Args:
        levels: (n,) scores each.
        number: At most, of each level; 0 or less for all.

    Returns:
        Indices into all levels in a row, and the level of each.
    """
    chosen, start = [], 0
    for scores in levels:
        size = len(scores)
        limit = min(number, size) if number > 0 else size
        chosen.append(scores.topk(limit).indices + start)
        start += size
    level = [torch.full_like(index, i) for i, index in enumerate(chosen)]
    return torch.cat(chosen), torch.cat(level)

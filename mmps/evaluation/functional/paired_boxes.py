"""Boxes of the same frame, compared pair by pair."""

import numpy as np

from mmps.structures import ranges


def paired_iou(boxes1: np.ndarray, boxes2: np.ndarray) -> np.ndarray:
    """Intersection over union of row i with row i, in float64.

    No ``+ 1`` on sides; a pair without overlap or area gives 0.

    Args:
        boxes1: (P, 4) xyxy.
        boxes2: (P, 4) xyxy.

    Returns:
        (P,) in [0, 1].
    """
    a = np.asarray(boxes1, dtype=np.float64)
    b = np.asarray(boxes2, dtype=np.float64)
    low = np.maximum(a[:, :2], b[:, :2])
    high = np.minimum(a[:, 2:], b[:, 2:])
    inter = np.clip(high - low, 0, None).prod(axis=1)
    areas = [
        np.clip(x[:, 2:] - x[:, :2], 0, None).prod(axis=1) for x in (a, b)
    ]
    union = areas[0] + areas[1] - inter
    return np.divide(inter, union, out=np.zeros_like(inter), where=inter > 0)


def same_frame_pairs(
    frames: np.ndarray, frame_splits: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pair each item with every row of its frame.

    Args:
        frames: (K,) frame index of each item.
        frame_splits: (F + 1,) offsets of the frames' rows.

    Returns:
        Two (P,) index arrays, item and row; sorted by item, then row.
    """
    starts = frame_splits[frames]
    counts = frame_splits[frames + 1] - starts
    return np.repeat(np.arange(len(frames)), counts), ranges(starts, counts)


def match_threshold(boxes: np.ndarray) -> np.ndarray:
    """IoU that a detection needs to count as the person in a box.

    ``min(0.5, wh / ((w + 10)(h + 10)))`` with w and h in pixels: small boxes
    are forgiven 5 pixels on each side (CUHK-SYSU's protocol, and PRW's).

    Args:
        boxes: (K, 4) xyxy ground truth.

    Returns:
        (K,) float64.
    """
    sides = np.asarray(boxes[:, 2:], np.float64) - boxes[:, :2]
    return np.minimum(0.5, sides.prod(axis=1) / (sides + 10).prod(axis=1))


def first_of_best(
    values: np.ndarray, groups: np.ndarray, order: np.ndarray
) -> np.ndarray:
    """Find each group's largest value, the first by ``order`` on ties.

    Args:
        values: (P,) to be maximised.
        groups: (P,) group id of each value.
        order: (P,) what decides between equal values, smallest first.

    Returns:
        (number of groups,) indices into the arrays, by rising group id.
    """
    by_group = np.lexsort((order, -values, groups))
    _, first = np.unique(groups[by_group], return_index=True)
    return by_group[first]

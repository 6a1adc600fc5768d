"""Tests of pairwise box arithmetic against loops."""

import numpy as np
import pytest

from mmps.evaluation.functional.paired_boxes import (
    first_of_best,
    match_threshold,
    paired_iou,
    same_frame_pairs,
)


@pytest.mark.parametrize('dtype', [np.int32, np.float32, np.float64])
def test_paired_iou_equals_pixel_count(dtype):
    rng = np.random.default_rng(0)
    corners = rng.integers(-8, 12, (40, 2, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 12, (40, 2, 2))]
                           , axis=2)  # fmt: skip
    a, b = boxes[:, 0].astype(dtype), boxes[:, 1].astype(dtype)
    for iou, left, right in zip(paired_iou(a, b), boxes[:, 0], boxes[:, 1]):
        grids = []
        for x1, y1, x2, y2 in (left, right):
            grid = np.zeros((40, 40), dtype=bool)
            grid[y1 + 10 : y2 + 10, x1 + 10 : x2 + 10] = True
            grids.append(grid)
        shared = (grids[0] & grids[1]).sum() / (grids[0] | grids[1]).sum()
        assert iou == pytest.approx(shared)


def test_paired_iou_without_area():
    point = np.array([[5.0, 5.0, 5.0, 5.0], [9.0, 9.0, 1.0, 1.0]])
    assert paired_iou(point, point).tolist() == [0.0, 0.0]
    assert paired_iou(np.empty((0, 4)), np.empty((0, 4))).shape == (0,)


def test_match_threshold():
    boxes = np.array([[0, 0, 8, 16], [0, 0, 40, 100], [-20, 0, 0, 40]], float)
    wanted = [128 / (18 * 26), 0.5, 0.5]
    np.testing.assert_allclose(match_threshold(boxes), wanted)
    whole = match_threshold(boxes.astype(np.int16))
    np.testing.assert_allclose(whole, wanted)


def test_same_frame_pairs():
    splits = np.array([0, 2, 2, 5])
    items, rows = same_frame_pairs(np.array([2, 0, 1, 2]), splits)
    assert items.tolist() == [0, 0, 0, 1, 1, 3, 3, 3]
    assert rows.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]


def test_first_of_best():
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 6, 60)
    values = rng.integers(0, 4, 60).astype(np.float32)
    order = rng.permutation(60)
    wanted = []
    for group in sorted(set(groups)):
        members = [i for i in range(60) if groups[i] == group]
        top = max(values[i] for i in members)
        wanted.append(
            min(
                (i for i in members if values[i] == top), key=order.__getitem__
            )
        )
    assert first_of_best(values, groups, order).tolist() == wanted
    empty = np.empty(0, int)
    assert first_of_best(empty, empty, empty).tolist() == []

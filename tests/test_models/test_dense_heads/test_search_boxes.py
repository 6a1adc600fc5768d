"""Tests of features picked from dense maps, against loops."""

import pytest
import torch

from mmps.models.dense_heads.search_boxes import (
    average_neighbours,
    flatten_maps,
)


def test_flat_order_is_that_of_mmdets_anchors():
    levels = [torch.randn(2, 3, 4, 5, 6), torch.randn(2, 3, 4, 2, 3)]
    flat = flatten_maps(levels)
    assert flat.shape == (2, 3 * (30 + 6), 4)
    for image in range(2):
        n = 0
        for level in levels:
            for row in range(level.size(3)):
                for col in range(level.size(4)):
                    for anchor in range(3):
                        want = level[image, anchor, :, row, col]
                        assert torch.equal(flat[image, n], want)
                        n += 1


def iou(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(width, 0) * max(height, 0)
    areas = sum((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return inter / (areas - inter)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
@pytest.mark.parametrize('thr', [0.0, 0.4, 1.0])
def test_average_equals_a_loop(dtype, thr):
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(40, 2, generator=generator) * 40
    boxes = torch.cat((corner, corner + 20), 1)
    feats = torch.randn(40, 5, generator=generator).to(dtype)
    own = torch.randn(9, 5, generator=generator).to(dtype)
    mine = torch.cat((boxes[:8], torch.tensor([[200.0, 200, 210, 210]])))

    got = average_neighbours(own, mine, feats, boxes, thr)

    assert got.dtype == torch.float32
    for i, box in enumerate(mine.tolist()):
        near = [
            feats[j].float()
            for j, other in enumerate(boxes.tolist())
            if iou(box, other) >= thr
        ]
        want = sum(near) / len(near) if near else own[i].float()
        torch.testing.assert_close(got[i], want)
    if thr:  # far from everything
        torch.testing.assert_close(got[8], own[8].float())


@pytest.mark.parametrize('skip', [0, 5, 31, 39, 60])
@pytest.mark.parametrize('thr', [0.0, 0.4])
def test_neighbours_that_overlap_least_are_left_out(skip, thr):
    """As with the k-th smallest IoU, k = skip + 1, for a second threshold."""
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(40, 2, generator=generator) * 15
    boxes = torch.cat((corner, corner + 20), 1)
    feats = torch.randn(40, 5, generator=generator)
    own = feats[:9]

    got = average_neighbours(own, boxes[:9], feats, boxes, thr, skip)

    for i, box in enumerate(boxes[:9].tolist()):
        overlaps = [iou(box, other) for other in boxes.tolist()]
        least = sorted(overlaps)[min(skip, 39)]
        near = [
            feats[j] for j, x in enumerate(overlaps) if x >= max(thr, least)
        ]
        torch.testing.assert_close(got[i], sum(near) / len(near))
    alone = skip >= 39
    assert torch.allclose(got, own) is alone
    # Others that overlap nothing are not counted.
    more = torch.cat((boxes, torch.zeros(30, 4)))
    padded = average_neighbours(
        own, boxes[:9], feats.repeat(2, 1)[:70], more, thr or 0.01, skip, 40
    )
    want = average_neighbours(own, boxes[:9], feats, boxes, thr or 0.01, skip)
    torch.testing.assert_close(padded, want)


def test_average_of_nothing():
    none = torch.zeros(0, 4)
    feats = torch.randn(3, 5)
    boxes = torch.tensor([[0.0, 0, 2, 2]]).expand(3, 4)
    assert average_neighbours(feats[:0], none, feats, boxes, 0.5).size(0) == 0
    for skip in (0, 31):
        got = average_neighbours(feats, boxes, feats[:0], none, 0.5, skip)
        torch.testing.assert_close(got, feats)

"""What dense heads pick from their maps, against loops."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes, get_box_tensor
from mmengine.structures import InstanceData

from mmps.models.dense_heads.search_boxes import (
    average_neighbours,
    boxes_in_input,
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


def test_average_of_nothing():
    none = torch.zeros(0, 4)
    feats = torch.randn(3, 5)
    boxes = torch.tensor([[0.0, 0, 2, 2]]).expand(3, 4)
    assert average_neighbours(feats[:0], none, feats, boxes, 0.5).size(0) == 0
    got = average_neighbours(feats, boxes, feats[:0], none, 0.5)
    torch.testing.assert_close(got, feats)


@pytest.mark.parametrize('flip', [None, 'horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('wrap', [torch.Tensor, HorizontalBoxes])
def test_boxes_follow_the_image(flip, wrap):
    sample = DetDataSample(
        metainfo=dict(
            scale_factor=(2.0, 0.5),
            img_shape=(60, 200),
            flip=flip is not None,
            flip_direction=flip,
        )
    )
    box = wrap(torch.tensor([[10.0, 20, 30, 80]]))
    sample.query_instances = InstanceData(bboxes=box)
    got = boxes_in_input(sample, 'query_instances', torch.zeros(0))
    x1, y1, x2, y2 = 20, 10, 60, 40
    if flip in ('horizontal', 'diagonal'):
        x1, x2 = 200 - x2, 200 - x1
    if flip in ('vertical', 'diagonal'):
        y1, y2 = 60 - y2, 60 - y1
    assert got.tolist() == [[x1, y1, x2, y2]]
    # The sample's own boxes stay in original pixels.
    kept = get_box_tensor(sample.query_instances.bboxes)
    assert kept.tolist() == [[10, 20, 30, 80]]


def test_no_boxes():
    like = torch.zeros(1, dtype=torch.float64)
    got = boxes_in_input(DetDataSample(), 'gt_instances', like)
    assert got.shape == (0, 4)
    assert got.dtype == torch.float64

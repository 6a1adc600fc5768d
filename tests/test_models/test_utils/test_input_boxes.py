"""Tests of boxes of test samples in the network's input."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes, get_box_tensor
from mmengine.structures import InstanceData

from mmps.models.utils import boxes_in_input


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

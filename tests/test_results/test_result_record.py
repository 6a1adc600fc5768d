"""Tests of the content of result files of unusual runs."""

import pytest
from mmengine.config import Config

from mmps.results.result_record import result_record
from mmps.structures import fingerprint
from mmps.testing import random_ground_truth


class TestSet:
    __test__ = False

    def __init__(self, **metainfo):
        self.metainfo = metainfo
        self.split = 'test'


@pytest.mark.parametrize(
    ('test_cfg', 'boxes'),
    [
        (dict(), 'detected'),
        (dict(use_gt_boxes=False), 'detected'),
        (dict(use_gt_boxes=True), 'annotated'),
        (dict(rcnn=dict(use_gt_boxes=True)), 'annotated'),
        (dict(rpn=dict(nms_pre=5), rcnn=dict(score_thr=0.1)), 'detected'),
        (dict(dense=dict(use_gt_boxes=True), rcnn=dict()), 'annotated'),
        # Nobody reads it there.
        (dict(use_gt_boxes=True, rcnn=dict(score_thr=0.1)), 'detected'),
        (None, 'detected'),
    ],
)
def test_boxes_of_the_gallery(test_cfg, boxes):
    """The upper bound is not to be taken for a search."""
    cfg = Config(dict(model=dict(test_cfg=test_cfg)))
    found = result_record(cfg, None, {}, dict(main='regular'))
    assert found['protocol'] == dict(main='regular', gallery_boxes=boxes)


def test_data_set():
    truth = random_ground_truth()
    dataset = TestSet(dataset_type='COCO', search=truth)
    found = result_record(Config({}), dataset, {'mAP': 1.0}, None)
    assert found['data'] == dict(
        name='COCO', split='test', **fingerprint(truth)
    )
    assert found['figures'] == {'mAP': 1.0}
    assert found['protocol'] is None
    for other in (TestSet(), TestSet(search='no ground truth'), object()):
        assert result_record(Config({}), other, {}, None)['data'] is None


def test_what_else_the_run_knows():
    found = result_record(Config({}), None, {}, None, device='CPU', seed=None)
    assert (found['device'], found['seed']) == ('CPU', None)
    with pytest.raises(TypeError):
        result_record(Config({}), None, {}, None, config={})

"""Tests of graphs against their detectors, before any export."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmps.deploy import build_graph
from mmps.deploy.onnx_check import predict
from mmps.testing import tiny_two_stage
from mmps.utils.errors import UsageError

from .conftest import lively, path_of_test_cfg, pictures, pyramid

SIZE = (112, 192)
NAMES = sorted(
    f'{path.parent.name}/{path.name[: -len("_r18_scenes.py")]}'
    for path in Path('configs').glob('*/*_r18_scenes.py')
)
BOXES = np.array([[10, 5, 40, 100], [100, 20, 150, 110]], np.float32)


def assert_equal(model, size=SIZE):
    """Both on a picture; returns how many people there are."""
    graph = build_graph(model, size)
    (image,) = pictures(1, size)
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    with torch.no_grad():
        found = [x.numpy() for x in graph(pixels)]
        query = graph(pixels, torch.from_numpy(BOXES)).numpy()
    want = predict(model, image)
    assert len(found[0]) == len(want[0])
    for ours, theirs, atol in zip(found, want, (1e-3, 1e-5, 1e-5)):
        np.testing.assert_allclose(ours, theirs, atol=atol)
    want = predict(model, image, BOXES)[0]
    np.testing.assert_allclose(query, want, atol=1e-5)
    return len(found[0])


def options(name, score_thr=0.0):
    return {f'test_cfg.{path_of_test_cfg(name)}score_thr': score_thr}


def test_there_are_configs():
    assert len(NAMES) == 23


@pytest.mark.parametrize('name', NAMES)
def test_every_method(make, name):
    model = make(name, **options(name))
    assert assert_equal(model) > 10


@pytest.mark.parametrize(
    'name', ['pcnet/pcnet-light', 'seqnet/seqnet', 'pstr/pstr']
)
def test_sizes_that_need_padding(make, name):
    model = make(name, **options(name))
    model.data_preprocessor.pad_size_divisor = 32
    assert assert_equal(model, (90, 150)) > 10
    assert assert_equal(model, (224, 97)) > 10


@pytest.mark.parametrize('stage', ['one', 'two'])
def test_nobody_there(make, stage):
    name = dict(one='pcnet/pcnet', two='oim/oim')[stage]
    model = make(name, **options(name, 1.0))
    assert assert_equal(model) == 0


@pytest.mark.parametrize('name', ['oim/oim', 'seqnet/seqnet'])
@pytest.mark.parametrize('smallest', [40, 1000])
def test_few_proposals(make, name, smallest):
    """Or none at all."""
    model = make(name, **options(name))
    model.rpn_head.test_cfg.min_bbox_size = smallest
    assert (assert_equal(model) > 0) == (smallest == 40)


def test_few_boxes_reach_the_last_stage(make):
    """Or none; the graph fills up with others, which must not be seen."""
    model = make('seqnet/seqnet', **options('seqnet'))
    scores = predict(model, pictures(1, SIZE)[0])[1]
    assert len(scores) > 10
    before_last = model.roi_head.test_cfg.before_last
    for num in (5, 0):
        before_last.score_thr = float(scores[num])
        assert assert_equal(model) == num


def test_best_score_of_an_image_is_over_real_boxes(make):
    """NAE+ divides by it."""
    cfg = dict(
        pooling=dict(type='mmps.NormAttention'),
        projection=dict(
            type='mmps.LinearProjection', in_channels=[64], embed_dims=16
        ),
    )
    model = tiny_two_stage(
        2,
        reid_head=cfg,
        bbox_head=dict(classifier=dict(type='mmps.PixelNormClassifier')),
    )
    model.test_cfg.rcnn.before_last = dict(
        score_thr=0.5, nms=dict(type='nms', iou_threshold=0.3), max_per_img=8
    )
    assert 0 < assert_equal(lively(model)) < 8


@pytest.mark.parametrize('score_from', ['first', 'mean', 'last'])
def test_pyramid_of_three_stages(score_from):
    """mmdet's FPN, several levels of proposals and of RoIs."""
    model = pyramid()
    model.test_cfg.rcnn.score_from = score_from
    assert assert_equal(lively(model)) > 5


def test_average_over_neighbours_above_the_threshold(make):
    """Candidates below it must not count."""
    model = make('pcnet/pcnet-light', **options('pcnet'))
    scores = predict(model, pictures(1, SIZE)[0])[1]
    model.bbox_head.test_cfg.score_thr = float(np.median(scores))
    model.bbox_head.test_cfg.average_iou_thr = 0.05
    assert 0 < assert_equal(model) < len(scores)


@pytest.mark.parametrize('share', [0.9, 0.3])
def test_what_the_release_of_pcnet_does(make, share):
    """Boxes below the threshold are not among those left out either."""
    model = make(
        'pcnet/pcnet-light',
        **options('pcnet'),
        **{'bbox_head.inclusive_boxes': True},
    )
    head = model.bbox_head
    head.test_cfg.update(average_iou_thr=0.05, average_skip=31)
    scores = predict(model, pictures(1, SIZE)[0])[1]
    head.test_cfg.score_thr = float(np.quantile(scores, 1 - share))
    head.test_cfg.max_per_img = 20
    assert 0 < assert_equal(model) <= 20


def test_queries_by_sampling_in_their_boxes(make):
    model = make('pstr/pstr', **options('pstr'))
    model.bbox_head.test_cfg.query_from = 'boxes'
    assert assert_equal(model) > 10


def test_one_level_of_deformable_attention(make):
    model = make('pstr/pstr')
    model.encoder.layers[0].self_attn.num_levels = 2
    with pytest.raises(UsageError, match='num_levels=1'):
        build_graph(model, SIZE)


def test_smallest_box(make):
    model = make('pcnet/pcnet-light', **options('pcnet'))
    before = assert_equal(model)
    model.bbox_head.test_cfg.min_bbox_size = 60
    model.bbox_head.test_cfg.nms_pre = 5000
    assert assert_equal(model) < before


def test_the_detector_stays_as_it_was(make):
    model = make('oim/oim').train()
    kinds = [type(m) for m in model.modules()]
    build_graph(model, SIZE)
    assert model.training
    assert [type(m) for m in model.modules()] == kinds


def test_what_cannot_be_a_graph_is_refused(make):
    model = make('pcnet/pcnet-light')
    with pytest.raises(UsageError, match='32 or more'):
        build_graph(model, (16, 100))
    model.bbox_head.test_cfg.use_gt_boxes = True
    with pytest.raises(UsageError, match='use_gt_boxes'):
        build_graph(model, SIZE)
    with pytest.raises(UsageError, match='PCNetHead'):
        build_graph(torch.nn.Identity(), SIZE)
    model = make('oim/oim')
    model.rpn_head.test_cfg.nms = dict(type='soft_nms', iou_threshold=0.5)
    graph = build_graph(model, SIZE)
    with pytest.raises(UsageError, match='soft_nms'):
        graph(torch.zeros(1, 3, *SIZE))
    for part in model.modules():
        if hasattr(part, 'pool_mode'):
            part.pool_mode = 'max'
    with pytest.raises(UsageError, match='pool_mode'):
        build_graph(model, SIZE)


def test_proposals_by_softmax(make):
    loss = dict(type='CrossEntropyLoss', use_sigmoid=False)
    model = make('oim/oim', **options('oim'), **{'rpn_head.loss_cls': loss})
    assert not model.rpn_head.use_sigmoid_cls
    assert assert_equal(model) > 10

"""Values of AlignPS' configs, as its published code trains and tests."""

from pathlib import Path

import pytest
from mmengine.config import Config

ROOT = Path(__file__).parents[2] / 'configs' / 'alignps'
SIZES = [
    (667, 400), (1000, 600), (1333, 800), (1500, 900), (1666, 1000),
    (2000, 1200),
]  # fmt: skip


def load(variant, data, name='alignps'):
    return Config.fromfile(ROOT / f'{name}{variant}_r50_{data}.py')


@pytest.mark.parametrize('variant', ['', '-plus'])
def test_values_on_prw(variant):
    cfg = load(variant, 'prw')
    head = cfg.model.bbox_head
    assert head.loss_reid.temperature == 1 / 15
    assert head.loss_reid.queue_temperature == 1 / 10
    assert head.loss_reid.gamma == 2
    assert head.memory['update'].normalise is True
    assert head.memory.queue_size == 500
    assert head.loss_tri is None
    decay = cfg.optim_wrapper.optimizer.weight_decay
    assert decay == (7e-4 if variant else 1e-3)
    epoch = -(-5704 // 4)
    assert cfg.train_cfg.max_iters == 24 * epoch
    steps = cfg.param_scheduler[1]
    assert steps.milestones == [16 * epoch, 22 * epoch]


@pytest.mark.parametrize('variant', ['', '-plus'])
def test_values_on_cuhk_sysu(variant):
    cfg = load(variant, 'cuhk-sysu')
    head = cfg.model.bbox_head
    assert head.loss_reid.temperature == 1 / 10
    assert head.loss_reid.get('queue_temperature') is None
    assert head.memory['update'].normalise is False
    assert head.memory.queue_size == 5000
    assert head.loss_tri.margin == 0.3
    assert cfg.optim_wrapper.optimizer.weight_decay == 1e-4
    assert cfg.train_cfg.max_iters == 24 * -(-11206 // 4)


@pytest.mark.parametrize('data', ['prw', 'cuhk-sysu'])
@pytest.mark.parametrize('variant', ['', '-plus'])
def test_what_all_have(variant, data):
    cfg = load(variant, data)
    assert [
        tuple(size)
        for step in cfg.train_dataloader.dataset.pipeline
        if step.type == 'RandomChoiceResize'
        for size in step.scales
    ] == SIZES
    assert cfg.train_dataloader.batch_size == 4
    det_thr = {'prw': 0.15, 'cuhk-sysu': 0.2}[data]
    assert cfg.val_evaluator.det_thr == det_thr
    assert cfg.test_evaluator.det_thr == det_thr
    assert cfg.optim_wrapper.optimizer.lr == 1e-3
    assert ('dcn' in cfg.model.backbone) == bool(variant)
    released = load(f'{variant}-release', data)
    assert released.model.test_cfg.pop('query_from') == 'detections'
    assert 'query_from' not in cfg.model.test_cfg
    assert released.to_dict() == cfg.to_dict()


@pytest.mark.parametrize(
    ('data', 'frames', 'queue'),
    [('prw', 5704, 500), ('cuhk-sysu', 11206, 5000)],
)
def test_values_of_roi_alignps(data, frames, queue):
    cfg = load('', data, 'roi-alignps')
    dense, roi = cfg.model.bbox_head, cfg.model.roi_head.reid_head
    assert dense.loss_reid.temperature == 1 / 10
    assert dense.loss_reid.mean_over == 'labelled'
    assert dense.memory['update'].normalise is False
    assert dense.loss_tri.margin == 0.3
    assert 'normalise' not in roi.memory['update']
    assert roi.loss_reid == dict(type='mmps.OIMLoss', loss_weight=1.0)
    for head in (dense, roi):
        assert head.memory.queue_size == queue
        assert head.memory['update'].momentum == 0.5
    assert cfg.model.loss_mutual.loss_weight == 0.2
    rcnn = cfg.model.train_cfg.rcnn.assigner
    assert (rcnn.pos_iou_thr, rcnn.neg_iou_thr) == (0.5, 0.1)
    align = cfg.model.roi_head.bbox_roi_extractor.roi_layer
    assert (align.aligned, align.sampling_ratio) == (True, 0)
    assert cfg.train_dataloader.batch_size == 5
    epoch = -(-frames // 5)
    assert cfg.train_cfg.max_iters == 24 * epoch
    warmup, steps = cfg.param_scheduler
    assert (warmup.end, warmup.start_factor) == (1141, 1 / 200)
    assert steps.milestones == [16 * epoch, 22 * epoch]
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (1.5e-3, 5e-4)
    assert cfg.optim_wrapper.paramwise_cfg is None
    released = load('-release', data, 'roi-alignps')
    assert released.model.test_cfg.dense.pop('query_from') == 'detections'
    assert released.to_dict() == cfg.to_dict()

"""Tests of the rows of component tables: they differ in what they name."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from torch import nn

ROOT = Path(__file__).parents[2] / 'configs'
REID, BBOX = 'roi_head.reid_head', 'roi_head.bbox_head'
SHALLOW = 'roi_head.shallow'
SGD = dict(type='SGD', lr=3e-3, momentum=0.9, weight_decay=5e-4)
IIDFC, PGSFL = 'iidfc/iidfc_res2net50_prw', 'pgsfl/pgsfl_r50_prw'
UGAS = 'ugas/ugas-seqnet_r50_prw'

# Config, what it is compared with, and the options that may differ.
ROWS = {
    'nae/nae_r50_prw': (
        'oim/oim_r50_prw',
        f'{BBOX}.classifier {BBOX}.loss_bbox test_cfg.rcnn',
    ),
    'nae/nae-plus_r50_prw': (
        'nae/nae_r50_prw',
        f'{BBOX}.classifier {BBOX}.decomposition {REID}.pooling '
        f'{REID}.projection',
    ),
    'seqnet/seqnet_r50_prw': ('nae/nae_r50_prw', f'{BBOX} test_cfg.rcnn'),
    'coat/coat_r50_prw': (
        'seqnet/seqnet_r50_prw',
        f'{BBOX} roi_head.shared_head roi_head.num_reid_stages '
        f'{REID}.loss_reid.loss_weight {REID}.id_classifier train_cfg.rcnn '
        'test_cfg.rcnn.before_last',
    ),
    'coat/coat-release_r50_prw': (
        'coat/coat_r50_prw',
        f'{REID}.id_classifier rpn_head.anchor_generator.type '
        'test_cfg.rcnn.score_thr test_cfg.rcnn.before_last.0.score_thr '
        'test_cfg.rcnn.before_last.1.score_thr',
    ),
    'seqnext/seqnext_r50_prw': (
        'seqnet/seqnet_r50_prw',
        'backbone.frozen_stages backbone.norm_cfg backbone.norm_eval '
        'roi_head.shared_head.backbone test_cfg.rcnn.score_from '
        f'{BBOX}.1.classifier {BBOX}.1.reg_norm {REID}.loss_reid.mean_over '
        f'{REID}.memory.unfilled {REID}.projection.embed_dims',
    ),
    'seqnext/seqnext-gfn_r50_prw': (
        'seqnext/seqnext_r50_prw',
        'roi_head.gallery_filter',
    ),
    'seqnext/seqnext-release_r50_prw': (
        'seqnext/seqnext-gfn_r50_prw',
        'rpn_head.anchor_generator.type test_cfg.rcnn.score_thr '
        'test_cfg.rcnn.before_last.score_thr roi_head.gallery_filter.memory',
    ),
    'seqnext/seqnext_convnext-b_prw': (
        'seqnext/seqnext_r50_prw',
        'backbone roi_head.shared_head rpn_head.in_channels '
        'rpn_head.feat_channels roi_head.bbox_roi_extractor.out_channels '
        f'{BBOX}.0.in_channels {BBOX}.1.in_channels '
        f'{REID}.projection.in_channels',
    ),
    'oimnetpp/oimnetpp_r50_prw': (
        'oim/oim_r50_prw',
        f'{BBOX}.loss_bbox.loss_weight {BBOX}.reg_norm {REID}.memory.update '
        f'{REID}.projection',
    ),
    'oimnetpp/oimnetppp_r50_prw': (
        'oimnetpp/oimnetpp_r50_prw',
        'roi_head.shared_head.backbone.norm_cfg',
    ),
    'oimnetpp/oimnetpp-release_r50_prw': (
        'oimnetpp/oimnetpp_r50_prw',
        'rpn_head.anchor_generator test_cfg.rcnn.score_thr',
    ),
    'hoim/hoim_r50_prw': (
        'oim/oim_r50_prw',
        f'{BBOX}.classifier {BBOX}.loss_cls {BBOX}.loss_bbox {REID}.memory '
        f'{REID}.loss_reid',
    ),
    'fdps/fdps_r50_prw': (
        'oim/oim_r50_prw',
        f'{BBOX}.decomposition {BBOX}.loss_bbox test_cfg.rcnn',
    ),
    'fdps/fdps-boim_r50_prw': ('fdps/fdps_r50_prw', f'{REID}.loss_reid'),
    'fdps/fdps_r50_prw_table2-w': (
        'fdps/fdps-boim_r50_prw',
        f'{REID}.loss_reid.use_negatives',
    ),
    'fdps/fdps_r50_prw_table2-neg': (
        'fdps/fdps-boim_r50_prw',
        f'{REID}.loss_reid.use_density',
    ),
    **{
        f'fdps/fdps_r50_cuhk-sysu_table1-{row}': (
            'fdps/fdps_r50_cuhk-sysu',
            f'{BBOX}.decomposition',
        )
        for row in ('oim-base', 'flatten', 'parameter-base')
    },
    'iidfc/hoim-base_res2net50_prw': (
        'hoim/hoim_r50_prw',
        'backbone roi_head.shared_head rpn_head.anchor_generator.ratios '
        f'{BBOX}.loss_cls {REID}.loss_reid',
    ),
    'iidfc/iidfc_res2net50_prw_table5-irr': (
        'iidfc/hoim-base_res2net50_prw',
        f'{BBOX}.loss_bbox rpn_head.loss_bbox.loss_weight',
    ),
    'iidfc/iidfc_res2net50_prw_table5-irr-fc': (
        'iidfc/iidfc_res2net50_prw_table5-irr',
        f'{REID}.loss_reid.margin',
    ),
    IIDFC: (
        'iidfc/iidfc_res2net50_prw_table5-irr-fc',
        'roi_head.attention',
    ),
    'iidfc/iidfc-release_res2net50_prw': (
        IIDFC,
        f'{REID}.loss_reid {BBOX}.loss_cls roi_head.attention '
        'rpn_head.anchor_generator.type test_cfg.rcnn.score_thr',
    ),
    **{
        f'{folder}-release_r50_prw': (
            f'{folder}_r50_prw',
            f'rpn_head.anchor_generator.type test_cfg.rcnn.{keys}',
        )
        for folder, keys in {
            'seqnet/seqnet': 'score_thr test_cfg.rcnn.before_last.score_thr',
            'nae/nae': 'score_thr',
            'nae/nae-plus': 'score_thr test_cfg.rcnn.unit_queries',
            'hoim/hoim': 'score_thr',
        }.items()
    },
    'iidfc/hoim_r50_prw_table6': ('hoim/hoim_r50_prw', ''),
    'iidfc/iidfc_r50_prw_table6': (IIDFC, 'backbone roi_head.shared_head'),
    'iidfc/iidfc_res2net50-v1b_prw_table6': (
        IIDFC,
        'backbone roi_head.shared_head',
    ),
    **{
        f'{IIDFC}_table7-{row}': (IIDFC, 'roi_head.attention')
        for row in ('sa', 'cbam', 'non-local')
    },
    **{
        f'{IIDFC}_table7-{row}': (IIDFC, f'{REID}.loss_reid.margin')
        for row in ('sphereface', 'arcface')
    },
    'iidfc/oim_r50_prw_table4-pam-fc': (
        'oim/oim_r50_prw',
        f'roi_head.attention {REID}.loss_reid.type',
    ),
    f'{PGSFL}_table1-baseline': (
        PGSFL,
        f'{REID}.pooling {REID}.loss_attention {REID}.memory.update',
    ),
    f'{PGSFL}_table1-self-attention': (
        PGSFL,
        f'{REID}.loss_attention {REID}.memory.update',
    ),
    f'{PGSFL}_table1-pga': (PGSFL, f'{REID}.memory.update'),
    'pgsfl/pgsfl-dc5_r50_prw': (
        PGSFL,
        f'roi_head.shared_head {BBOX}.roi_feat_size {REID}.pooling.size',
    ),
    f'{PGSFL}_table1-pga-dc5': (
        'pgsfl/pgsfl-dc5_r50_prw',
        f'{REID}.memory.update',
    ),
    **{
        f'{PGSFL}_table2-amu-{tau}': (
            f'{PGSFL}_table1-baseline',
            f'{REID}.memory.update',
        )
        for tau in ('003', '005', '01')
    },
    **{
        f'{PGSFL}_table2-pga-amu-{tau}': (
            PGSFL,
            f'{REID}.memory.update.temperature',
        )
        for tau in ('003', '01')
    },
    f'{UGAS}_ablation-sfm-sd': (
        UGAS,
        f'{REID}.uncertainty {SHALLOW}.reid_head.uncertainty',
    ),
    f'{UGAS}_ablation-sfm': (
        f'{UGAS}_ablation-sfm-sd',
        f'{SHALLOW}.loss_distill',
    ),
    f'{UGAS}_ablation-ug': (
        'seqnet/seqnet_r50_prw',
        f'{REID}.uncertainty',
    ),
    UGAS: (
        'seqnet/seqnet_r50_prw',
        f'{REID}.uncertainty {SHALLOW} neck '
        'backbone.out_indices test_cfg.rcnn.embedding',
    ),
    **{
        f'{UGAS}_feature-{feature}-{base}': (
            f'{UGAS}_ablation-sfm' + ('-sd' if base == 'dis' else ''),
            'test_cfg.rcnn.embedding',
        )
        for feature in ('deep', 'shallow', 'mean')
        for base in ('dis', 'no-dis')
    },
}


PARTS = (
    *('loss_attention', 'attention', 'uncertainty', 'loss_distill'),
    'id_classifier',
)


def flat(node, path=''):
    """Leaves of a config by their dotted names; parts set to None are none."""
    if isinstance(node, dict):
        pairs = node.items()
    elif isinstance(node, (list, tuple)) and any(
        isinstance(item, dict) for item in node
    ):
        pairs = enumerate(node)
    else:
        absent = node is None and path.rpartition('.')[2] in PARTS
        return {} if absent else {path[1:]: node}
    leaves = {}
    for key, value in pairs:
        leaves.update(flat(value, f'{path}.{key}'))
    return leaves


def model(name):
    return flat(Config.fromfile(ROOT / f'{name}.py').model.to_dict())


@pytest.mark.parametrize('name', ROWS)
def test_row_differs_by_what_it_names(name):
    base, allowed = ROWS[name]
    allowed = allowed.split()
    one, other = model(name), model(base)
    differs = {
        key
        for key in {*one, *other}
        if one.get(key, ...) != other.get(key, ...)
    }
    used = set()
    for key in differs:
        match = [a for a in allowed if (key + '.').startswith(a + '.')]
        assert match, f'{key}: {other.get(key)} -> {one.get(key)}'
        used.update(match)
    assert used == set(allowed)


@pytest.mark.parametrize(
    ('name', 'epochs', 'step', 'epoch', 'frames'),
    [
        ('nae/nae_r50_prw', 22, 16, 1141, 5),
        ('hoim/hoim_r50_cuhk-sysu', 22, 16, 2242, 5),
        ('seqnet/seqnet_r50_prw', 18, 16, 1141, 5),
        ('seqnet/seqnet_r50_cuhk-sysu', 20, 16, 2242, 5),
        ('fdps/fdps_r50_prw', 18, 14, 1141, 5),
        ('iidfc/iidfc_res2net50_prw', 23, 16, 1141, 5),
        ('ugas/ugas-seqnet_r50_prw', 18, 16, 1141, 5),
        ('coat/coat_r50_prw', 13, 10, 1902, 3),
        ('coat/coat_r50_cuhk-sysu', 14, 11, 3736, 3),
    ],
)
def test_schedules(name, epochs, step, epoch, frames):
    cfg = Config.fromfile(ROOT / f'{name}.py')
    warmup, decay = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == decay.end == epochs * epoch
    assert decay.milestones == [step * epoch]
    assert (warmup.begin, warmup.end) == (0, epoch)
    assert cfg.train_dataloader.batch_size == frames
    assert cfg.auto_scale_lr.base_batch_size == frames
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (3e-3, 5e-4)
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    for split, place in (('train', 2), ('test', 1)):
        pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
        assert tuple(pipeline[place].scale) == (1500, 900)


@pytest.mark.parametrize(
    ('network', 'data', 'frames', 'optimizer', 'epoch'),
    [
        ('convnext-b', 'prw', 8, dict(type='Adam', lr=1e-4), 713),
        ('convnext-b', 'cuhk-sysu', 8, dict(type='Adam', lr=1e-4), 1400),
        ('r50', 'prw', 12, SGD, 475),
        ('r50', 'cuhk-sysu', 12, SGD, 933),
    ],
)
def test_schedule_of_seqnext(network, data, frames, optimizer, epoch):
    cfg = Config.fromfile(ROOT / f'seqnext/seqnext_{network}_{data}.py')
    assert cfg.train_dataloader.batch_size == frames
    assert cfg.auto_scale_lr.base_batch_size == frames
    assert dict(prw=5704, **{'cuhk-sysu': 11206})[data] // frames == epoch
    warmup, decay = cfg.param_scheduler
    assert cfg.train_cfg.max_iters == decay.end == 30 * epoch
    assert decay.milestones == [15 * epoch, 25 * epoch]
    assert (warmup.start_factor, warmup.end) == (
        1e-3,
        min(1000, epoch - 1),
    )
    assert cfg.optim_wrapper.optimizer == optimizer
    assert cfg.optim_wrapper.clip_grad.max_norm == 10
    resize, pad, crop = cfg.train_dataloader.dataset.pipeline[2:5]
    assert (resize.scale, pad.size) == ((1500, 900), (1920, 1920))
    crops = [branch[0] for branch in crop.transforms]
    assert [c.type for c in crops] == ['mmps.FocusedCrop', 'mmps.SafeCrop']
    assert {c.crop_size for c in crops} == {(640, 640)}


@pytest.mark.parametrize(
    ('data', 'lr', 'queue'), [('prw', 1e-4, 500), ('cuhk-sysu', 5e-4, 5000)]
)
def test_schedule_of_pgsfl(data, lr, queue):
    cfg = Config.fromfile(ROOT / f'pgsfl/pgsfl_r50_{data}.py')
    assert cfg.train_cfg.max_iters == cfg.param_scheduler[1].end == 40000
    assert cfg.param_scheduler[1].milestones == [30000]
    assert cfg.train_dataloader.batch_size == 4
    optimizer = cfg.optim_wrapper.optimizer
    assert (optimizer.lr, optimizer.weight_decay) == (lr, 1e-4)
    reid = cfg.model.roi_head.reid_head
    assert reid.memory.queue_size == queue
    # One epoch of four images.
    frames = dict(prw=5704, **{'cuhk-sysu': 11206})[data]
    assert reid.loss_attention.warmup_iters == -(-frames // 4)


def test_batch_norm_is_trained_and_layer4_starts_from_the_backbone():
    cfg = Config.fromfile(ROOT / 'oim/oim_r50_prw.py').model
    stage = cfg.roi_head.shared_head.backbone
    assert stage == cfg.backbone
    assert cfg.backbone.norm_eval is False
    assert cfg.backbone.norm_cfg.requires_grad is True
    assert cfg.backbone.frozen_stages == 0
    assert cfg.backbone.init_cfg.checkpoint == 'torchvision://resnet50'


def test_low_resolution_frames():
    for name in (
        'ugas/seqnet_r50_prw_low-resolution',
        'ugas/ugas-seqnet-sfm_r50_prw_low-resolution',
    ):
        cfg = Config.fromfile(ROOT / f'{name}.py')
        pipeline = cfg.test_dataloader.dataset.pipeline
        assert [t.type for t in pipeline[:3]] == [
            'mmps.LoadFrame',
            'mmps.Downscale',
            'mmdet.Resize',
        ]
        assert pipeline[1].factor == 3
        train = cfg.train_dataloader.dataset.pipeline
        assert 'mmps.Downscale' not in [t.type for t in train]


ROI = 'roi_head'
VALUES = {
    'oim/oim_r50_prw': {
        'rpn_head.anchor_generator.ratios': [0.5, 1.0, 2.0],
        'rpn_head.anchor_generator.scales': [2, 4, 8, 16, 32],
        f'{BBOX}.loss_bbox.loss_weight': 1.0,
        f'{REID}.memory.queue_size': 500,
        f'{REID}.memory.update.momentum': 0.5,
        'train_cfg.rcnn.sampler.num': 128,
        'train_cfg.rcnn.sampler.pos_fraction': 0.5,
        'train_cfg.rcnn.assigner.neg_iou_thr': 0.5,
        'train_cfg.rpn_proposal.nms_pre': 12000,
        'train_cfg.rpn_proposal.max_per_img': 2000,
        'test_cfg.rpn.max_per_img': 300,
    },
    'nae/nae_r50_prw': {
        f'{BBOX}.loss_bbox.loss_weight': 10.0,
        f'{REID}.projection.in_channels': [1024, 2048],
        'test_cfg.rcnn.confidence_weighted': True,
        'test_cfg.rcnn.nms.iou_threshold': 0.4,
    },
    'seqnet/seqnet_r50_prw': {
        f'{BBOX}.0.loss_bbox.loss_weight': 10.0,
        f'{BBOX}.0.reg_norm': False,
        f'{BBOX}.1.loss_bbox.loss_weight': 1.0,
        'test_cfg.rcnn.score_from': 'first',
        'test_cfg.rcnn.nms.iou_threshold': 0.5,
        'test_cfg.rcnn.before_last.nms.iou_threshold': 0.4,
    },
    'seqnext/seqnext_r50_prw': {
        'backbone.frozen_stages': 1,
        'roi_head.shared_head.backbone.norm_eval': True,
        f'{BBOX}.0.loss_bbox.loss_weight': 10.0,
        f'{BBOX}.1.loss_bbox.loss_weight': 1.0,
        f'{BBOX}.1.classifier.one_logit': True,
        f'{REID}.projection.embed_dims': 2048,
        'test_cfg.rcnn.confidence_weighted': True,
    },
    'coat/coat_r50_prw': {
        f'{BBOX}.0.reg_norm': False,
        **{f'{BBOX}.{i}.loss_bbox.loss_weight': 10.0 for i in range(3)},
        **{
            f'train_cfg.rcnn.{i}.assigner.{side}_iou_thr': thr
            for i, thr in enumerate((0.5, 0.6, 0.7))
            for side in ('pos', 'neg')
        },
        'train_cfg.rcnn.0.sampler.pos_fraction': 0.25,
        f'{ROI}.num_reid_stages': 2,
        f'{ROI}.shared_head.1.channels': 512,
        f'{ROI}.shared_head.1.kernel_sizes': [1, 3],
        f'{ROI}.shared_head.2.exchange_width': 1,
        f'{REID}.loss_reid.loss_weight': 0.5,
        f'{REID}.id_classifier.loss_weight': 0.5,
        f'{REID}.memory.queue_size': 500,
        'test_cfg.rcnn.score_from': 'first',
        'test_cfg.rcnn.before_last.0.nms.iou_threshold': 0.4,
        'test_cfg.rcnn.before_last.1.nms.iou_threshold': 0.4,
        'test_cfg.rcnn.nms.iou_threshold': 0.5,
    },
    'coat/coat_r50_cuhk-sysu': {
        f'{REID}.loss_reid.loss_weight': 0.5,
        f'{REID}.id_classifier.loss_weight': 0.1,
        f'{REID}.id_classifier.max_ids': 5532,
        f'{REID}.memory.queue_size': 5000,
    },
    'hoim/hoim_r50_cuhk-sysu': {
        f'{BBOX}.loss_bbox.loss_weight': 10.0,
        f'{REID}.memory.background_size': 5000,
        f'{REID}.memory.queue_size': 5000,
    },
    'fdps/fdps-boim_r50_prw': {
        f'{BBOX}.decomposition.type': 'mmps.MarginalDecomposition',
        f'{REID}.loss_reid.type': 'mmps.BOIMLoss',
    },
    IIDFC: {
        'rpn_head.loss_cls.loss_weight': 1.0,
        'rpn_head.loss_bbox.loss_weight': 5.0,
        f'{BBOX}.loss_bbox.loss_weight': 5.0,
        f'{REID}.loss_reid.margin.m1': 0.9,
        f'{REID}.loss_reid.margin.m2': 0.1,
        'rpn_head.anchor_generator.ratios': [
            *(0.9, 1.4, 1.9, 2.3, 2.5, 2.7, 2.9, 3.1, 3.5, 4.0, 4.6, 5.2)
        ],
        'backbone.base_width': 26,
        'backbone.scales': 4,
        f'{BBOX}.loss_cls.type': 'CrossEntropyLoss',
        f'{REID}.loss_reid.gamma': None,
        f'{REID}.loss_reid.lambda_scale': 2.0,
    },
    'iidfc/iidfc-release_res2net50_prw': {
        f'{REID}.loss_reid.margin.m2': 0.003,
        f'{BBOX}.loss_cls.type': 'mmps.SoftmaxFocalLoss',
        f'{REID}.loss_reid.gamma': 2.0,
        f'{REID}.loss_reid.lambda_scale': 1.0,
    },
    f'{IIDFC}_table7-arcface': {
        f'{REID}.loss_reid.margin.m1': 1.0,
        f'{REID}.loss_reid.margin.m2': 0.5,
    },
    f'{IIDFC}_table7-sphereface': {
        f'{REID}.loss_reid.margin.m1': 1.35,
        f'{REID}.loss_reid.margin.m2': 0.0,
    },
    PGSFL: {
        'rpn_head.anchor_generator.ratios': [1.0, 2.0, 3.0],
        'rpn_head.anchor_generator.scales': [8, 16, 32],
        f'{REID}.memory.update.temperature': 0.05,
        f'{REID}.loss_attention.loss_weight': 0.1,
        f'{REID}.projection.init_std': None,
    },
    f'{PGSFL}_table2-amu-003': {f'{REID}.memory.update.temperature': 0.03},
    f'{PGSFL}_table2-amu-005': {f'{REID}.memory.update.temperature': 0.05},
    f'{PGSFL}_table2-amu-01': {f'{REID}.memory.update.temperature': 0.1},
    f'{PGSFL}_table2-pga-amu-003': {f'{REID}.memory.update.temperature': 0.03},
    f'{PGSFL}_table2-pga-amu-01': {f'{REID}.memory.update.temperature': 0.1},
    'pgsfl/pgsfl-dc5_r50_prw': {
        f'{ROI}.shared_head.stride': 1,
        f'{ROI}.shared_head.dilation': 2,
    },
    UGAS: {
        f'{SHALLOW}.roi_extractor.featmap_strides': [4, 8],
        f'{SHALLOW}.roi_extractor.roi_layer.output_size': 14,
        f'{SHALLOW}.reid_head.projection.embed_dims': 256,
        'test_cfg.rcnn.confidence_weighted': True,
        f'{SHALLOW}.reid_head.memory.queue_size': 500,
        f'{REID}.memory.queue_size': 500,
        'neck.in_channels': [256, 512],
        'test_cfg.rcnn.embedding': 'concat',
    },
}


@pytest.mark.parametrize('name', VALUES)
def test_values_are_the_papers(name):
    leaves = model(name)
    assert {key: leaves[key] for key in VALUES[name]} == VALUES[name]


@pytest.mark.parametrize(
    ('name', 'decayed'),
    [
        ('oim/oim_r50_prw', False),
        ('nae/nae_r50_prw', False),
        ('seqnet/seqnet_r50_prw', True),
        ('coat/coat_r50_prw', True),
        ('ugas/ugas-seqnet_r50_cuhk-sysu', True),
        ('pgsfl/pgsfl_r50_prw', True),
    ],
)
def test_weight_decay_of_biases(name, decayed):
    cfg = Config.fromfile(ROOT / f'{name}.py').optim_wrapper
    layer = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    optimizer = build_optim_wrapper(layer, cfg).optimizer
    decay = {
        id(p): group['weight_decay']
        for group in optimizer.param_groups
        for p in group['params']
    }
    base = cfg.optimizer.weight_decay
    for name, parameter in layer.named_parameters():
        keeps = decayed or 'bias' not in name
        assert decay[id(parameter)] == (base if keeps else 0), name

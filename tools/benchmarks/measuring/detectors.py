"""Detectors to be measured: untrained methods and what they are built on."""

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from mmps.engine.launch import quiet_init_weights
from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS
from mmps.utils.config import load_config

NUM_IDS = 483
CONFIGS = Path(__file__).resolve().parents[3] / 'configs'
METHODS = (
    'oim/oim', 'nae/nae', 'seqnet/seqnet', 'hoim/hoim', 'fdps/fdps',
    'fdps/fdps-boim', 'iidfc/iidfc', 'pgsfl/pgsfl', 'ugas/ugas-nae',
    'ugas/ugas-seqnet', 'oimnetpp/oimnetpp', 'oimnetpp/oimnetppp',
    'coat/coat', 'seqnext/seqnext', 'seqnext/seqnext-gfn', 'pcnet/pcnet',
    'pcnet/pcnet-multi', 'pcnet/pcnet-light', 'alignps/alignps',
    'alignps/roi-alignps', 'pstr/pstr',
)  # fmt: skip

# Of a method without a RoI head: mmdet's head, and the options of both.
_TOWERS = ('in_channels', 'feat_channels', 'stacked_convs', 'norm_cfg')
PLAIN_HEADS = {
    'mmps.PCNetHead': (
        'RetinaHead',
        (*_TOWERS, 'anchor_generator', 'bbox_coder'),
    ),
    'mmps.AlignPSHead': (
        'FCOSHead',
        (*_TOWERS, 'strides', 'regress_ranges', 'norm_on_bbox',
         'centerness_on_reg', 'center_sampling', 'conv_bias',
         'loss_centerness'),
    ),
    'mmps.PSTRHead': (
        'DeformableDETRHead',
        ('embed_dims', 'sync_cls_avg_factor', 'loss_iou'),
    ),
}  # fmt: skip


def method_configs(full_size: bool = False) -> list[str]:
    """One config of every method.

    Args:
        full_size: Whether the papers' models for PRW are meant; else the
            small ones for scenes. Defaults to False.
    """
    configs = []
    for name in METHODS:
        end = 'r50_prw' if full_size else 'r18_scenes'
        if full_size and name == 'iidfc/iidfc':
            end = 'res2net50_prw'
        configs.append(str(CONFIGS / f'{name}_{end}.py'))
    return configs


def plain_detector(model: ConfigDict) -> ConfigDict:
    """The mmdet detector that a method is built on.

    Args:
        model: Config of a method.

    Returns:
        A Faster R-CNN, RetinaNet, FCOS (of ROI-AlignPS, too, which finds
        people by it) or Deformable DETR of the same backbone.
    """
    plain = deepcopy(model)
    if plain.type == 'mmps.DenseTwoStageDetector':
        plain = ConfigDict(
            type='FCOS',
            data_preprocessor=plain.data_preprocessor,
            backbone=plain.backbone,
            neck=plain.neck,
            bbox_head=plain.bbox_head,
            test_cfg=plain.test_cfg.dense,
        )
    _replace_neck(plain)
    if 'roi_head' in plain:
        _replace_roi_head(plain)
        return plain
    if plain.type == 'mmps.PSTR':
        plain.update(type='DeformableDETR', num_feature_levels=1)
    head = plain.bbox_head
    kind, options = PLAIN_HEADS[head.type]
    keep = {'num_classes', 'loss_cls', 'loss_bbox', *options} & set(head)
    plain.bbox_head = dict({key: head[key] for key in keep}, type=kind)
    return plain


def _replace_neck(plain: ConfigDict) -> None:
    """Put mmdet's neck in the place of a method's."""
    neck = plain.get('neck')
    if neck is None or not neck.type.startswith('mmps.'):
        return
    levels = plain.backbone.out_indices
    if neck.type == 'mmps.ShallowFusion':
        del plain['neck']
        plain.backbone.out_indices = levels[-1:]
    elif neck.type == 'mmps.CommonStrideMapper':
        # The level whose stride all three of its maps have.
        plain.backbone.out_indices = levels[1:2]
        plain.neck = dict(
            type='ChannelMapper',
            in_channels=neck.in_channels[1:2],
            kernel_size=1,
            out_channels=neck.out_channels,
        )
    else:
        neck.pop('num_outs_test')
        neck.update(
            type='FPN',
            add_extra_convs='on_output',
            relu_before_extra_convs=True,
        )


def _replace_roi_head(plain: ConfigDict) -> None:
    """Put mmdet's RoI head in the place of a method's."""
    head = plain.roi_head
    box = head.bbox_head
    box = box[-1] if isinstance(box, list) else box
    size = head.bbox_roi_extractor.roi_layer.output_size
    size = size if isinstance(size, (list, tuple)) else (size, size)
    plain.rpn_head.type = 'mmps.SearchRPNHead'
    plain.roi_head = dict(
        type='StandardRoIHead',
        bbox_roi_extractor=head.bbox_roi_extractor,
        shared_head=dict(type='mmps.BackboneStage', backbone=plain.backbone),
        bbox_head=dict(
            type='BBoxHead',
            with_avg_pool=True,
            in_channels=box.in_channels,
            # The last stage has stride 2.
            roi_feat_size=[side // 2 for side in size],
            num_classes=1,
            reg_class_agnostic=True,
            loss_cls=dict(type='CrossEntropyLoss'),
            loss_bbox=dict(type='SmoothL1Loss'),
        ),
    )
    if isinstance(plain.train_cfg.rcnn, list):
        plain.train_cfg.rcnn = plain.train_cfg.rcnn[0]


def other_detector(beside: str, model: ConfigDict) -> ConfigDict:
    """The detector that a method is compared with.

    Args:
        beside: 'plain', the method's plain detector; a config; or
            'plain:CONFIG', the plain detector of another method.
        model: Config of the method.
    """
    if beside == 'plain':
        return plain_detector(model)
    kind, _, config = beside.partition(':')
    if kind == 'plain':
        return plain_detector(load_config(config).model)
    return load_config(beside).model


def few_boxes(model: ConfigDict, num: int) -> ConfigDict:
    """Let an untrained detector keep as many boxes as a trained one.

    Untrained scores mean nothing: all boxes or none would pass, unlike in a
    trained detector.

    Args:
        model: Config of a detector.
        num: Boxes that are kept, behind NMS and between stages.

    Returns:
        A copy with other settings of the test.
    """
    model = deepcopy(model)
    dense = model.test_cfg.get('dense', model.test_cfg)
    if 'rcnn' not in dense:
        dense.update(score_thr=0.0, nms_pre=2 * num, max_per_img=num)
        return model
    rcnn = model.test_cfg.rcnn
    rcnn.max_per_img = num
    pruning = rcnn.get('before_last') or []
    for cfg in pruning if isinstance(pruning, list) else [pruning]:
        if cfg:
            cfg.max_per_img = num
    return model


def build_untrained(model: ConfigDict, device: str) -> nn.Module:
    """Build a detector with random weights, its memories of PRW's size.

    Args:
        model: Its config; no pretrained weights are loaded.
        device: Where it goes.
    """
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(_without_weights(model))
        quiet_init_weights(built)
        built.init_weights()
    for module in built.modules():
        if isinstance(module, IdentityMemory):
            module.resolve(range(NUM_IDS))
    return built.to(device)


def _without_weights(node: Any) -> Any:
    """A config without the names of pretrained weights."""
    if isinstance(node, Mapping):
        pretrained = node.get('init_cfg') or {}
        if isinstance(pretrained, Mapping) and 'checkpoint' in pretrained:
            node = {**node, 'init_cfg': None}
        return ConfigDict({k: _without_weights(v) for k, v in node.items()})
    if isinstance(node, (list, tuple)):
        return type(node)(map(_without_weights, node))
    return node

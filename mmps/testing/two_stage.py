"""A two-stage model so small that a test can train it."""

from copy import deepcopy
from typing import Any

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmps.engine.launch import quiet_init_weights
from mmps.registry import MODELS

_BACKBONE = dict(
    type='mmdet.ResNet',
    depth=18,
    base_channels=8,
    stem_channels=8,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
    frozen_stages=-1,
    norm_eval=False,
)


def tiny_two_stage(
    num_stages: int = 1, num_ids: int = 6, **roi_head: Any
) -> ConfigDict:
    """Config of a Faster R-CNN C4 with re-identification, 0.4 M weights.

    Args:
        num_stages: Of the RoI head; each has a box head of its own.
            Defaults to 1.
        num_ids: Labelled identities in the memory. Defaults to 6, as of
            :func:`~mmps.testing.demo_search_samples`.
        **roi_head: Merged into the RoI head. ``reid_head`` and
            ``bbox_head`` (of the last stage) are merged part by part.

    Returns:
        ConfigDict: For :func:`build`. RoI maps are 32 x 8 x 8 before the
        shared head and 64 x 4 x 4 behind it, embeddings have 16 values, the
        memory's queue has 8 rows.
    """
    bbox_head = dict(
        type='mmps.SearchBBoxHead',
        in_channels=64,
        roi_feat_size=4,
        loss_cls=dict(type='mmdet.CrossEntropyLoss'),
        loss_bbox=dict(type='mmdet.SmoothL1Loss'),
    )
    last = {**bbox_head, **roi_head.pop('bbox_head', {})}
    reid_head = dict(
        type='mmps.ReIDHead',
        projection=dict(
            type='mmps.LinearProjection', in_channels=[32, 64], embed_dims=16
        ),
        memory=dict(num_ids=num_ids, queue_size=8),
    )
    for name, part in roi_head.pop('reid_head', {}).items():
        merge = name == 'memory' and 'memory' in reid_head
        reid_head[name] = {**reid_head[name], **part} if merge else part
    assigner = dict(type='mmdet.MaxIoUAssigner', min_pos_iou=0.3)
    sampler = dict(type='mmdet.RandomSampler', pos_fraction=0.5)
    nms = dict(type='nms', iou_threshold=0.7)
    return ConfigDict(
        type='mmdet.FasterRCNN',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
        backbone=deepcopy(_BACKBONE),
        rpn_head=dict(
            type='mmps.SearchRPNHead',
            in_channels=32,
            feat_channels=32,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                scales=[2, 4],
                ratios=[2.0],
                strides=[16],
            ),
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='mmdet.CrossEntropyLoss', use_sigmoid=True),
            loss_bbox=dict(type='mmdet.L1Loss'),
        ),
        roi_head={
            'type': 'mmps.SearchRoIHead',
            'bbox_roi_extractor': dict(
                type='mmdet.SingleRoIExtractor',
                roi_layer=dict(
                    type='RoIAlign',
                    output_size=8,
                    sampling_ratio=2,
                    aligned=False,
                ),
                out_channels=32,
                featmap_strides=[16],
            ),
            'shared_head': dict(
                type='mmps.BackboneStage', backbone=deepcopy(_BACKBONE)
            ),
            'bbox_head': (
                last
                if num_stages == 1
                else [deepcopy(bbox_head) for _ in range(num_stages - 1)]
                + [last]
            ),
            'reid_head': reid_head,
            **roi_head,
        },
        train_cfg=dict(
            rpn=dict(
                assigner=dict(assigner, pos_iou_thr=0.7, neg_iou_thr=0.3),
                sampler=dict(sampler, num=32, add_gt_as_proposals=False),
                allowed_border=-1,
                pos_weight=-1,
            ),
            rpn_proposal=dict(
                nms_pre=100, max_per_img=20, nms=nms, min_bbox_size=0
            ),
            rcnn=dict(
                assigner=dict(assigner, pos_iou_thr=0.5, neg_iou_thr=0.5),
                sampler=dict(sampler, num=16, add_gt_as_proposals=True),
                pos_weight=-1,
            ),
        ),
        test_cfg=dict(
            rpn=dict(nms_pre=50, max_per_img=10, nms=nms, min_bbox_size=0),
            rcnn=dict(
                score_thr=0.0,
                nms=dict(type='nms', iou_threshold=0.4),
                max_per_img=10,
            ),
        ),
    )


def training_loss(losses: dict[str, Tensor | list[Tensor]]) -> Tensor:
    """Sum of everything in a dict of losses that is minimised.

    As ``BaseModel.parse_losses`` of mmengine, for heads as well as models.

    Args:
        losses: Scalars, or lists of them, by name; those with 'loss' in
            their name are summed.

    Returns:
        Tensor: Scalar.
    """
    return sum(
        sum(value) if isinstance(value, list) else value
        for name, value in losses.items()
        if 'loss' in name
    )


def build(model: ConfigDict) -> nn.Module:
    """Build and initialise a model, without mmdet's log messages of it.

    Args:
        model: Its config, such as :func:`tiny_two_stage` returns.

    Returns:
        nn.Module: In training mode, on the CPU, with random weights. The
        default scope, which other code may have left anywhere, is mmdet's.
    """
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(model)
    quiet_init_weights(built)
    built.init_weights()
    return built

"""Every method as a model so small that a test can train it."""

from collections.abc import Callable
from typing import Any

from mmengine.config import ConfigDict

from mmps.testing import tiny_two_stage

_HOIM = dict(
    bbox_head=dict(
        classifier=dict(type='mmps.MemoryClassifier'),
        loss_cls=dict(type='mmps.SoftmaxFocalLoss'),
    ),
    reid_head=dict(
        memory=dict(
            queue=dict(type='mmps.SelectiveRefreshQueue'), background_size=6
        ),
        loss_reid=dict(type='mmps.HOIMLoss'),
    ),
)


def shallow_branch(**kwargs: Any) -> dict:
    """Config of the shallow branch of a tiny model.

    Args:
        **kwargs: Merged into it.

    Returns:
        dict: Reads two levels of 8 channels, as :func:`shallow_neck` gives.
    """
    return dict(
        type='mmps.ShallowBranch',
        roi_extractor=dict(
            type='mmps.AttentiveRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=8, sampling_ratio=2),
            out_channels=8,
            featmap_strides=[4, 8],
        ),
        reid_head=dict(
            type='mmps.ReIDHead',
            projection=dict(
                type='mmps.LinearProjection', in_channels=[8], embed_dims=16
            ),
            memory=dict(num_ids=6, queue_size=8),
        ),
        **kwargs,
    )


def shallow_neck(model: ConfigDict) -> ConfigDict:
    """Give a tiny model the neck that its shallow branch reads."""
    model.backbone.out_indices = (0, 1, 2)
    model.neck = dict(
        type='mmps.ShallowFusion', in_channels=[8, 16], out_channels=8
    )
    return model


def occluded_attention(**kwargs: Any) -> dict:
    """Config of COAT's transformer as the shared head of a tiny model.

    Args:
        **kwargs: Merged into it.

    Returns:
        dict: Maps stay 8 x 8.
    """
    return dict(
        type='mmps.OccludedAttentionTransformer',
        in_channels=32,
        out_channels=64,
        channels=16,
        num_heads=2,
        **kwargs,
    )


def _two_stage(num_stages: int = 1, **roi_head: Any) -> ConfigDict:
    model = tiny_two_stage(num_stages, **roi_head)
    for part in (model.train_cfg.rpn, model.train_cfg.rcnn):
        part.sampler.num = 10_000
    return model


def _oimnetpp() -> ConfigDict:
    norm = dict(type='mmps.ProtoNorm')
    model = _two_stage(
        reid_head=dict(
            projection=dict(
                type='mmps.LinearProjection',
                in_channels=[64],
                embed_dims=16,
                norm=norm,
            ),
            memory=dict(update=dict(type='mmps.LocalizationAwareUpdate')),
        )
    )
    model.roi_head.shared_head.backbone.norm_cfg = dict(norm, affine=True)
    return model


def _coat() -> ConfigDict:
    return _two_stage(
        3,
        num_reid_stages=2,
        # No stripes: they are random.
        shared_head=occluded_attention(),
        bbox_head=dict(
            roi_feat_size=8, classifier=dict(type='mmps.NormClassifier')
        ),
        reid_head=dict(id_classifier=dict(max_ids=6)),
    )


def _seqnext() -> ConfigDict:
    # Past scenes are drawn at random, by every process its own.
    return _two_stage(
        2,
        bbox_head=dict(
            classifier=dict(type='mmps.LinearClassifier', one_logit=True),
            reg_norm=False,
        ),
        reid_head=dict(
            memory=dict(unfilled='mask'),
            loss_reid=dict(type='mmps.OIMLoss', mean_over='people'),
        ),
        gallery_filter=dict(type='mmps.GalleryFilter', pool_size=8),
    )


def _ugas() -> ConfigDict:
    return shallow_neck(
        _two_stage(
            2,
            bbox_head=dict(classifier=dict(type='mmps.NormClassifier')),
            reid_head=dict(
                uncertainty=dict(
                    type='mmps.UncertaintyGuidance', mode='attenuate'
                )
            ),
            shallow=shallow_branch(
                loss_distill=dict(type='mmps.SoftLabelLoss')
            ),
        )
    )


def tiny_pcnet() -> ConfigDict:
    """Config of a RetinaNet with PCNet's head, 16-d embeddings."""
    return ConfigDict(
        type='mmdet.RetinaNet',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
        backbone=dict(tiny_two_stage().backbone, out_indices=(1, 2)),
        neck=dict(
            type='mmdet.ChannelMapper',
            in_channels=[16, 32],
            kernel_size=1,
            out_channels=8,
            num_outs=2,
            act_cfg=None,
        ),
        bbox_head=dict(
            type='mmps.PCNetHead',
            in_channels=8,
            embed_dims=16,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(
                type='mmdet.AnchorGenerator',
                scales=[4],
                ratios=[2.6],
                center_offset=0.5,
                strides=[8, 16],
            ),
            bbox_coder=dict(type='mmdet.DeltaXYWHBBoxCoder'),
            loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True),
            loss_bbox=dict(type='mmdet.SmoothL1Loss', beta=0.11),
            point_pooling=dict(
                type='mmps.ContextualPointPooling', offset_channels=8
            ),
            aggregation=dict(type='mmps.CrossScaleAggregation'),
            memory=dict(type='mmps.IdentityMemory', num_ids=6, queue_size=4),
            loss_reid=dict(type='mmps.OIMLoss', mean_over='people'),
            loss_dist=dict(type='mmps.DistanceLoss'),
            loss_tri=dict(type='mmps.PCNetTripletLoss'),
        ),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.4,
                min_pos_iou=0.1,
            ),
            allowed_border=-1,
            pos_weight=-1,
        ),
        test_cfg=dict(),
    )


def tiny_alignps() -> ConfigDict:
    """Config of an FCOS with AlignPS' neck and head, 16-d embeddings."""
    return ConfigDict(
        type='mmdet.FCOS',
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
        backbone=dict(tiny_two_stage().backbone, out_indices=(1, 2)),
        neck=dict(
            type='mmps.AlignedFeatureAggregation',
            in_channels=[16, 32],
            out_channels=16,
            start_level=0,
            num_outs=3,
            num_outs_test=1,
        ),
        bbox_head=dict(
            type='mmps.AlignPSHead',
            in_channels=16,
            feat_channels=16,
            stacked_convs=1,
            strides=[8, 16, 32],
            regress_ranges=((-1, 1e8), (-2, -1), (-2, -1)),
            norm_cfg=dict(type='GN', num_groups=4),
            norm_on_bbox=True,
            centerness_on_reg=True,
            dcn_on_last_conv=True,
            center_sampling=True,
            conv_bias=True,
            loss_cls=dict(type='mmdet.FocalLoss', use_sigmoid=True),
            loss_bbox=dict(type='mmdet.GIoULoss'),
            loss_centerness=dict(
                type='mmdet.CrossEntropyLoss', use_sigmoid=True
            ),
            bbox_coder=dict(type='mmdet.DistancePointBBoxCoder'),
            memory=dict(num_ids=6, queue_size=4),
            loss_reid=dict(
                type='mmps.OIMLoss',
                temperature=1 / 15,
                queue_temperature=0.1,
                gamma=2.0,
                mean_over='people',
            ),
            loss_tri=dict(type='mmps.BatchHardTripletLoss'),
        ),
        test_cfg=dict(
            nms=dict(type='nms', iou_threshold=0.5),
            max_per_img=10,
            query_from='detections',
        ),
    )


def tiny_roi_alignps() -> ConfigDict:
    """Config of AlignPS' head beside a RoI head; 16-d embeddings of both."""
    dense = tiny_alignps()
    model = _two_stage(
        bbox_head=dict(classifier=dict(type='mmps.NormClassifier'))
    )
    return ConfigDict(
        {
            **model,
            'type': 'mmps.DenseTwoStageDetector',
            'backbone': dense.backbone,
            'neck': dense.neck,
            'bbox_head': dense.bbox_head,
            'roi_levels': (1,),
            'test_cfg': dict(
                rpn=model.test_cfg.rpn, rcnn={}, dense=dense.test_cfg
            ),
        }
    )


def tiny_pstr() -> ConfigDict:
    """Config of a PSTR with 8 queries, three maps and 16-d features."""
    attention = dict(
        embed_dims=16,
        num_heads=2,
        num_levels=1,
        dropout=0.0,
        batch_first=True,
    )
    ffn = dict(embed_dims=16, feedforward_channels=16, ffn_drop=0.0)
    return ConfigDict(
        type='mmps.PSTR',
        num_queries=8,
        data_preprocessor=dict(type='mmdet.DetDataPreprocessor'),
        backbone=dict(tiny_two_stage().backbone, out_indices=(0, 1, 2)),
        neck=dict(
            type='mmps.CommonStrideMapper',
            in_channels=[8, 16, 32],
            out_channels=16,
        ),
        encoder=dict(
            num_layers=1,
            layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn),
        ),
        decoder=dict(
            num_layers=2,
            return_intermediate=True,
            layer_cfg=dict(
                self_attn_cfg=dict(
                    embed_dims=16, num_heads=2, dropout=0.0, batch_first=True
                ),
                cross_attn_cfg=attention,
                ffn_cfg=ffn,
            ),
            post_norm_cfg=None,
        ),
        positional_encoding=dict(num_feats=8, normalize=True, offset=-0.5),
        bbox_head=dict(
            type='mmps.PSTRHead',
            embed_dims=16,
            sync_cls_avg_factor=True,
            part_attention=dict(num_heads=2),
            memory=dict(num_ids=6, queue_size=4),
            loss_reid=dict(
                type='mmps.OIMLoss',
                temperature=1 / 15,
                queue_temperature=0.1,
                gamma=2.0,
                loss_weight=0.1,
            ),
            loss_tri=dict(type='mmps.BatchHardTripletLoss', loss_weight=0.1),
            loss_cls=dict(
                type='mmdet.FocalLoss', use_sigmoid=True, loss_weight=0.2
            ),
            loss_bbox=dict(type='mmdet.L1Loss', loss_weight=0.5),
            loss_iou=dict(type='mmdet.GIoULoss', loss_weight=0.2),
        ),
        train_cfg=dict(
            assigner=dict(
                type='mmdet.HungarianAssigner',
                match_costs=[
                    dict(type='mmdet.FocalLossCost', weight=2.0),
                    dict(
                        type='mmdet.BBoxL1Cost', weight=5.0, box_format='xywh'
                    ),
                    dict(type='mmdet.IoUCost', iou_mode='giou', weight=2.0),
                ],
            )
        ),
        test_cfg=dict(max_per_img=8),
    )


# Config builders by name; RoIs are not sampled but all taken, so that nothing
# is random.
TINY_METHODS: dict[str, Callable[[], ConfigDict]] = {
    'oim': _two_stage,
    'boim': lambda: _two_stage(
        bbox_head=dict(decomposition=dict(type='mmps.MarginalDecomposition')),
        reid_head=dict(
            loss_reid=dict(type='mmps.BOIMLoss', refresh_interval=2)
        ),
    ),
    'hoim': lambda: _two_stage(**_HOIM),
    'hoim-fc': lambda: _two_stage(
        bbox_head=dict(
            _HOIM['bbox_head'],
            loss_bbox=dict(type='mmps.IRRLoss', loss_weight=5.0),
        ),
        reid_head=dict(
            _HOIM['reid_head'],
            loss_reid=dict(type='mmps.HOIMLoss', margin=dict(m1=0.9, m2=0.1)),
        ),
    ),
    'pgsfl': lambda: _two_stage(
        reid_head=dict(
            pooling=dict(
                type='mmps.PrototypeGuidedAttention', channels=16, size=(4, 4)
            ),
            projection=dict(
                type='mmps.LinearProjection', in_channels=[64], embed_dims=16
            ),
            memory=dict(
                update=dict(
                    type='mmps.AdaptiveMomentumUpdate', temperature=0.05
                )
            ),
            loss_attention=dict(
                type='mmps.PrototypeGuidanceLoss', warmup_iters=1
            ),
        ),
    ),
    'oimnetpp': _oimnetpp,
    'coat': _coat,
    'seqnext-gfn': _seqnext,
    'ugas': _ugas,
    'pcnet': tiny_pcnet,
    'alignps': tiny_alignps,
    'roi-alignps': tiny_roi_alignps,
    'pstr': tiny_pstr,
}

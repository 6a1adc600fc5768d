# ROI-AlignPS: AlignPS, whose people a NAE head on C4 embeds once more.
_base_ = 'alignps_r50_afa.py'

_assigner = dict(type='MaxIoUAssigner', match_low_quality=False)
_sampler = dict(
    type='RandomSampler',
    pos_fraction=0.5,
    neg_pos_ub=-1,
)

model = dict(
    type='mmps.DenseTwoStageDetector',
    # C4.
    roi_levels=(2,),
    bbox_head=dict(loss_reid=dict(mean_over='labelled')),
    rpn_head=dict(
        type='mmps.SearchRPNHead',
        in_channels=1024,
        feat_channels=1024,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[2, 4, 8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0
        ),
        loss_bbox=dict(type='L1Loss', loss_weight=1.0),
    ),
    roi_head=dict(
        type='mmps.SearchRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(
                type='RoIAlign',
                output_size=14,
                sampling_ratio=0,
                aligned=True,
            ),
            out_channels=1024,
            featmap_strides=[16],
        ),
        # A layer4 of its own.
        shared_head=dict(
            type='mmps.BackboneStage', backbone=_base_.model.backbone
        ),
        bbox_head=dict(
            type='mmps.SearchBBoxHead',
            in_channels=2048,
            roi_feat_size=7,
            decomposition=dict(type='mmps.SharedPooling'),
            classifier=dict(type='mmps.NormClassifier'),
            reg_init_std=0.001,
            loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
            loss_bbox=dict(type='L1Loss', loss_weight=10.0),
        ),
        reid_head=dict(
            type='mmps.ReIDHead',
            pooling=dict(type='mmps.MaxPooling'),
            projection=dict(
                type='mmps.LinearProjection',
                in_channels=[1024, 2048],
                embed_dims=256,
            ),
            memory=dict(
                type='mmps.IdentityMemory',
                num_ids='auto',
                queue_size=5000,
                update=dict(type='mmps.MomentumUpdate', momentum=0.5),
                queue=dict(type='mmps.CircularQueue'),
            ),
            loss_reid=dict(type='mmps.OIMLoss', loss_weight=1.0),
        ),
    ),
    loss_mutual=dict(
        type='mmps.MutualInformationLoss',
        embed_dims=(256, 256),
        loss_weight=0.2,
    ),
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
            ),
            sampler=dict(_sampler, num=256, add_gt_as_proposals=False),
            allowed_border=0,
            pos_weight=-1,
        ),
        rpn_proposal=dict(
            nms_pre=12000,
            max_per_img=2000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            # Overlaps from 0.1 to 0.5 are left out.
            assigner=dict(
                _assigner, pos_iou_thr=0.5, neg_iou_thr=0.1, min_pos_iou=0.5
            ),
            sampler=dict(_sampler, num=128, add_gt_as_proposals=True),
            pos_weight=-1,
        ),
    ),
    test_cfg=dict(
        _delete_=True,
        dense=_base_.model.test_cfg,
        rpn=dict(
            nms_pre=6000,
            max_per_img=1000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(),
        embedding='concat',
    ),
)
del _assigner, _sampler

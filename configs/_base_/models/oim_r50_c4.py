# OIM: Faster R-CNN C4 whose RoI head also embeds people, in the form that
# NAE, SeqNet and HOIM share: batch norm trained, RoIs of 14 x 14, max pooling,
# an embedding from the RoI feature before and after layer4, batch norm on the
# box deltas. Every `mmps` part can be replaced by its `type`.
#
# Small batches (1 or 2 per GPU): see configs/oim/README.md.
_backbone = dict(
    type='ResNet',
    depth=50,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
    frozen_stages=0,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=False,
    style='pytorch',
    init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
)

model = dict(
    type='FasterRCNN',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=32,
    ),
    backbone=_backbone,
    rpn_head=dict(
        type='mmps.SearchRPNHead',
        in_channels=1024,
        feat_channels=1024,
        anchor_generator=dict(
            type='AnchorGenerator',
            scales=[2, 4, 8, 16, 32],
            # Height by width.
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
        ),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0
        ),
        loss_bbox=dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),
    ),
    roi_head=dict(
        type='mmps.SearchRoIHead',
        bbox_roi_extractor=dict(
            type='SingleRoIExtractor',
            roi_layer=dict(
                type='RoIAlign',
                output_size=14,
                sampling_ratio=2,
                aligned=False,
            ),
            out_channels=1024,
            featmap_strides=[16],
        ),
        # layer4, from the backbone's pretrained weights.
        shared_head=dict(type='mmps.BackboneStage', backbone=_backbone),
        bbox_head=dict(
            type='mmps.SearchBBoxHead',
            in_channels=2048,
            roi_feat_size=7,
            decomposition=dict(type='mmps.SharedPooling'),
            classifier=dict(type='mmps.LinearClassifier'),
            loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
            loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0),
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
    train_cfg=dict(
        rpn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.7,
                neg_iou_thr=0.3,
                min_pos_iou=0.3,
            ),
            sampler=dict(
                type='RandomSampler',
                num=256,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=False,
            ),
            allowed_border=-1,
            pos_weight=-1,
        ),
        rpn_proposal=dict(
            nms_pre=12000,
            max_per_img=2000,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            assigner=dict(
                type='MaxIoUAssigner',
                pos_iou_thr=0.5,
                neg_iou_thr=0.5,
                min_pos_iou=0.5,
                match_low_quality=False,
            ),
            sampler=dict(
                type='RandomSampler',
                num=128,
                pos_fraction=0.5,
                neg_pos_ub=-1,
                add_gt_as_proposals=True,
            ),
            pos_weight=-1,
        ),
    ),
    test_cfg=dict(
        rpn=dict(
            nms_pre=6000,
            max_per_img=300,
            nms=dict(type='nms', iou_threshold=0.7),
            min_bbox_size=0,
        ),
        rcnn=dict(
            score_thr=0.01,
            nms=dict(type='nms', iou_threshold=0.4),
            max_per_img=300,
        ),
    ),
)
del _backbone

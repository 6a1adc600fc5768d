# AlignPS: an FCOS that reads one aligned map and embeds people by it. The
# losses are those of the paper and of its code on CUHK-SYSU (TOIM).
model = dict(
    type='FCOS',
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        # BGR, as the caffe-style weights want it.
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
        pad_size_divisor=32,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(0, 1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=False),
        norm_eval=True,
        style='caffe',
        init_cfg=dict(
            type='Pretrained',
            checkpoint='open-mmlab://detectron2/resnet50_caffe',
        ),
    ),
    neck=dict(
        type='mmps.AlignedFeatureAggregation',
        in_channels=[256, 512, 1024, 2048],
        out_channels=256,
        start_level=1,
        num_outs=5,
        num_outs_test=1,
    ),
    bbox_head=dict(
        type='mmps.AlignPSHead',
        num_classes=1,
        in_channels=256,
        feat_channels=256,
        stacked_convs=4,
        strides=[8, 16, 32, 64, 128],
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True),
        norm_on_bbox=True,
        centerness_on_reg=True,
        dcn_on_last_conv=True,
        center_sampling=True,
        conv_bias=True,
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=1.0,
        ),
        loss_bbox=dict(type='GIoULoss', loss_weight=1.0),
        loss_centerness=dict(
            type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0
        ),
        memory=dict(
            type='mmps.IdentityMemory',
            num_ids='auto',
            queue_size=5000,
            update=dict(
                type='mmps.MomentumUpdate', momentum=0.5, normalise=False
            ),
        ),
        loss_reid=dict(
            type='mmps.OIMLoss',
            temperature=1 / 10,
            gamma=2.0,
            mean_over='people',
        ),
        loss_tri=dict(type='mmps.BatchHardTripletLoss', margin=0.3),
    ),
    test_cfg=dict(
        nms_pre=1000,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=100,
    ),
)

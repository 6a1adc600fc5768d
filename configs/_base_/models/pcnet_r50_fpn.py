# PCNet: RetinaNet whose head also embeds people. Point pooling, aggregation,
# memory and losses are parts of their own: replace any by its `type`.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'

model = dict(
    data_preprocessor=dict(
        # BGR, as the caffe-style weights want it.
        mean=[103.530, 116.280, 123.675],
        std=[1.0, 1.0, 1.0],
        bgr_to_rgb=False,
    ),
    backbone=dict(
        norm_cfg=dict(requires_grad=False),
        style='caffe',
        init_cfg=dict(checkpoint='open-mmlab://detectron2/resnet50_caffe'),
    ),
    neck=dict(add_extra_convs='on_output', relu_before_extra_convs=True),
    bbox_head=dict(
        type='mmps.PCNetHead',
        num_classes=1,
        embed_dims=256,
        anchor_generator=dict(
            _delete_=True,
            type='AnchorGenerator',
            scales=[4],
            ratios=[2.0],
            center_offset=0.5,
            strides=[8, 16, 32, 64, 128],
        ),
        # RetinaNet's: targets as they are, not divided by deviations.
        loss_bbox=dict(
            _delete_=True, type='SmoothL1Loss', beta=0.11, loss_weight=1.0
        ),
        point_pooling=dict(type='mmps.ContextualPointPooling', num_points=9),
        aggregation=dict(type='mmps.CrossScaleAggregation'),
        memory=dict(
            type='mmps.IdentityMemory', num_ids='auto', queue_size=5000
        ),
        loss_reid=dict(
            type='mmps.OIMLoss', mean_over='people', loss_weight=1.0
        ),
        loss_dist=dict(type='mmps.DistanceLoss', num_sets=3, loss_weight=1.0),
        loss_tri=dict(
            type='mmps.PCNetTripletLoss', margin=0.5, loss_weight=1.0
        ),
    ),
    test_cfg=dict(
        nms_pre=1000,
        score_thr=0.05,
        nms=dict(type='nms', iou_threshold=0.4),
        max_per_img=100,
    ),
)

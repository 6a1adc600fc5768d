# What makes a C4 model of this folder small enough to train from scratch on a
# CPU: `model = _base_.small_c4` in a scenes config merges it.
_backbone = dict(
    depth=18,
    base_channels=32,
    frozen_stages=-1,
    # Stride 8: people are 50 to 90 pixels high.
    strides=(1, 2, 1),
    # From scratch, torch's own start learns faster than He's and than blocks
    # that start as the identity.
    zero_init_residual=False,
    init_cfg=[],
)
small_bbox_head = dict(in_channels=256, roi_feat_size=(6, 3))
small_reid_head = dict(
    projection=dict(
        in_channels=[128, 256],
        embed_dims=128,
        init_std=None,
    ),
    memory=dict(
        queue_size=100,
        update=dict(type='mmps.MomentumUpdate', momentum=0.9),
    ),
)

small_c4 = dict(
    data_preprocessor=dict(mean=[114.0, 114.0, 114.0], std=[58.0, 58.0, 58.0]),
    backbone=_backbone,
    rpn_head=dict(
        in_channels=128,
        feat_channels=64,
        anchor_generator=dict(scales=[4, 6, 9], ratios=[2.6], strides=[8]),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=dict(output_size=(12, 6)),
            out_channels=128,
            featmap_strides=[8],
        ),
        shared_head=dict(backbone=_backbone),
        bbox_head=small_bbox_head,
        reid_head=small_reid_head,
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=500, max_per_img=100),
        rcnn=dict(sampler=dict(num=32)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=500, max_per_img=60)),
)
del _backbone

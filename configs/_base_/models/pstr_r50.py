# PSTR: a Deformable DETR on one map, and part attention on three.
model = dict(
    type='mmps.PSTR',
    num_queries=100,
    data_preprocessor=dict(
        type='DetDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_size_divisor=1,
    ),
    backbone=dict(
        type='ResNet',
        depth=50,
        num_stages=4,
        out_indices=(1, 2, 3),
        frozen_stages=1,
        norm_cfg=dict(type='BN', requires_grad=True),
        norm_eval=True,
        style='pytorch',
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    neck=dict(
        type='mmps.CommonStrideMapper',
        in_channels=[512, 1024, 2048],
        out_channels=256,
    ),
    encoder=dict(
        num_layers=3,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=256, num_levels=1, batch_first=True),
            ffn_cfg=dict(
                embed_dims=256, feedforward_channels=256, ffn_drop=0.1
            ),
        ),
    ),
    decoder=dict(
        num_layers=3,
        return_intermediate=True,
        layer_cfg=dict(
            self_attn_cfg=dict(
                embed_dims=256, num_heads=8, dropout=0.1, batch_first=True
            ),
            cross_attn_cfg=dict(
                embed_dims=256, num_levels=1, batch_first=True
            ),
            ffn_cfg=dict(
                embed_dims=256, feedforward_channels=256, ffn_drop=0.1
            ),
        ),
        post_norm_cfg=None,
    ),
    positional_encoding=dict(num_feats=128, normalize=True, offset=-0.5),
    bbox_head=dict(
        type='mmps.PSTRHead',
        num_classes=1,
        embed_dims=256,
        sync_cls_avg_factor=True,
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
            temperature=1 / 15,
            queue_temperature=1 / 10,
            gamma=2.0,
            mean_over='people',
            loss_weight=0.5,
        ),
        loss_tri=dict(
            type='mmps.BatchHardTripletLoss', margin=0.3, loss_weight=0.5
        ),
        loss_cls=dict(
            type='FocalLoss',
            use_sigmoid=True,
            gamma=2.0,
            alpha=0.25,
            loss_weight=2.0,
        ),
        loss_bbox=dict(type='L1Loss', loss_weight=5.0),
        loss_iou=dict(type='GIoULoss', loss_weight=2.0),
    ),
    train_cfg=dict(
        assigner=dict(
            type='HungarianAssigner',
            match_costs=[
                dict(type='FocalLossCost', weight=2.0),
                dict(type='BBoxL1Cost', weight=5.0, box_format='xywh'),
                dict(type='IoUCost', iou_mode='giou', weight=2.0),
            ],
        )
    ),
    test_cfg=dict(max_per_img=100, score_thr=0.05),
)

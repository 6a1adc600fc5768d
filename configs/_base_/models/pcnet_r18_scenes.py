# A small PCNet that trains from scratch on two CPU cores.
_base_ = 'pcnet_r50_fpn.py'

strides = [8, 16, 32]

model = dict(
    data_preprocessor=dict(mean=[114.0, 114.0, 114.0], std=[58.0, 58.0, 58.0]),
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=dict(requires_grad=True),
        out_indices=(1, 2, 3),
        style='pytorch',
        init_cfg=None,
    ),
    # No top-down path: from scratch, upsampled coarse maps drown the fine
    # ones that tell people apart.
    neck=dict(
        _delete_=True,
        type='ChannelMapper',
        in_channels=[64, 128, 256],
        kernel_size=3,
        out_channels=64,
        num_outs=3,
        norm_cfg=dict(type='BN'),
        act_cfg=None,
    ),
    bbox_head=dict(
        in_channels=64,
        embed_dims=128,
        feat_channels=64,
        stacked_convs=1,
        shared_tower=True,
        norm_cfg=dict(type='BN'),
        anchor_generator=dict(ratios=[2.6], strides=strides),
        point_pooling=dict(offset_channels=64),
        # An average over several sightings: the last one alone is too noisy a
        # target for a network that starts from nothing.
        memory=dict(
            queue_size=100,
            update=dict(type='mmps.MomentumUpdate', momentum=0.9),
        ),
        bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
        # From scratch, the terms of eq. 14 at weight 1 drown the focal loss.
        loss_bbox=dict(loss_weight=0.5),
        loss_reid=dict(temperature=1 / 15, loss_weight=0.3),
        loss_dist=dict(loss_weight=0.1),
        loss_tri=dict(loss_weight=0.3),
    ),
    train_cfg=dict(assigner=dict(min_pos_iou=0.2)),
    # The release's average over neighbouring locations: 7 points of mAP here.
    test_cfg=dict(average_iou_thr=0.6, query_average_iou_thr=0.5),
)

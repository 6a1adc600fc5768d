# COAT: three heads in cascade, a transformer in each in the place of layer4;
# the second and the third embed people. The score at test is the first head's.
_base_ = 'nae_r50_c4.py'

_bbox_head = dict(
    type='mmps.SearchBBoxHead',
    in_channels=2048,
    roi_feat_size=14,
    loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
    loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=10.0),
)
_shared_head = dict(
    type='mmps.OccludedAttentionTransformer',
    in_channels=1024,
    out_channels=2048,
    channels=512,
    kernel_sizes=[1, 3],
    num_heads=8,
)
_assigner = dict(type='MaxIoUAssigner', match_low_quality=False)
_sampler = dict(
    type='RandomSampler',
    num=128,
    pos_fraction=0.25,
    neg_pos_ub=-1,
    add_gt_as_proposals=True,
)
_between = dict(
    score_thr=0.01,
    nms=dict(type='nms', iou_threshold=0.4),
    max_per_img=300,
)

model = dict(
    roi_head=dict(
        num_reid_stages=2,
        shared_head=[
            _shared_head,
            # Persons in front of others, as if occluded.
            dict(_shared_head, exchange_width=1),
            dict(_shared_head, exchange_width=1),
        ],
        bbox_head=[
            dict(_bbox_head, reg_norm=False),
            dict(_bbox_head, classifier=dict(type='mmps.NormClassifier')),
            dict(_bbox_head, classifier=dict(type='mmps.NormClassifier')),
        ],
        reid_head=dict(
            loss_reid=dict(loss_weight=0.5),
            id_classifier=dict(
                type='mmps.IdentityClassifier', max_ids=5532, loss_weight=0.5
            ),
        ),
    ),
    train_cfg=dict(
        rcnn=[
            dict(
                assigner=dict(
                    _assigner, pos_iou_thr=t, neg_iou_thr=t, min_pos_iou=t
                ),
                sampler=_sampler,
                pos_weight=-1,
            )
            for t in (0.5, 0.6, 0.7)
        ]
    ),
    test_cfg=dict(
        rcnn=dict(
            score_thr=0.01,
            nms=dict(type='nms', iou_threshold=0.5),
            score_from='first',
            before_last=[_between, _between],
        )
    ),
)
del _bbox_head, _shared_head, _assigner, _sampler, _between

# SeqNet: a Faster R-CNN head, then NAE's head on its boxes. The score at test
# is the first head's.
_base_ = 'nae_r50_c4.py'

_bbox_head = dict(
    type='mmps.SearchBBoxHead',
    in_channels=2048,
    roi_feat_size=7,
    loss_cls=dict(type='CrossEntropyLoss', loss_weight=1.0),
    loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0),
)

model = dict(
    roi_head=dict(
        # Every stage has its own copy of layer4.
        bbox_head=[
            dict(
                _bbox_head,
                reg_norm=False,
                loss_bbox=dict(
                    type='SmoothL1Loss', beta=1.0, loss_weight=10.0
                ),
            ),
            dict(_bbox_head, classifier=dict(type='mmps.NormClassifier')),
        ],
    ),
    test_cfg=dict(
        rcnn=dict(
            score_thr=0.01,
            nms=dict(type='nms', iou_threshold=0.5),
            score_from='first',
            before_last=dict(
                score_thr=0.01,
                nms=dict(type='nms', iou_threshold=0.4),
                max_per_img=300,
            ),
        )
    ),
)
del _bbox_head

# HOIM: one softmax over [background | prototypes | queue] finds people and
# tells them apart. The memory is part of the detector and of its checkpoint.
_base_ = 'oim_r50_c4.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            classifier=dict(type='mmps.MemoryClassifier'),
            loss_cls=dict(
                _delete_=True, type='mmps.SoftmaxFocalLoss', loss_weight=1.0
            ),
            loss_bbox=dict(loss_weight=10.0),
        ),
        reid_head=dict(
            memory=dict(
                queue=dict(type='mmps.SelectiveRefreshQueue'),
                background_size=5000,
                background=dict(type='mmps.SelectiveRefreshQueue'),
            ),
            loss_reid=dict(type='mmps.HOIMLoss'),
        ),
    ),
)

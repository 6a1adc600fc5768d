# The small HOIM with OIM's classifier and loss; boxes keep HOIM's weight.
_base_ = 'hoim_r18_scenes.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            classifier=dict(type='mmps.LinearClassifier'),
            loss_cls=dict(
                _delete_=True, type='CrossEntropyLoss', loss_weight=1.0
            ),
        ),
        reid_head=dict(loss_reid=dict(_delete_=True, type='mmps.OIMLoss')),
    )
)

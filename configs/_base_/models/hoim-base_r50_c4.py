# IIDFC's baseline, still on ResNet-50: HOIM with twelve anchor ratios and with
# the paper's plain cross-entropies (eq. 11 and 12) in the place of focal ones.
_base_ = 'hoim_r50_c4.py'

model = dict(
    rpn_head=dict(
        anchor_generator=dict(
            ratios=[0.9, 1.4, 1.9, 2.3, 2.5, 2.7, 2.9, 3.1, 3.5, 4.0, 4.6, 5.2]
        )
    ),
    roi_head=dict(
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True, type='CrossEntropyLoss', loss_weight=1.0
            ),
        ),
        reid_head=dict(loss_reid=dict(gamma=None, lambda_scale=2.0)),
    ),
)

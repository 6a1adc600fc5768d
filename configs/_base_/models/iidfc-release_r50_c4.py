# IIDFC's released code, still on ResNet-50: HOIM's focal terms, a margin that
# makes every target easier beyond 0.03 rad, no attention in the detector.
_base_ = 'iidfc_r50_c4.py'

model = dict(
    rpn_head=dict(
        anchor_generator=dict(type='mmps.TorchvisionAnchorGenerator')
    ),
    roi_head=dict(
        attention=None,
        bbox_head=dict(
            loss_cls=dict(
                _delete_=True, type='mmps.SoftmaxFocalLoss', loss_weight=1.0
            ),
        ),
        reid_head=dict(
            loss_reid=dict(
                gamma=2.0, lambda_scale=1.0, margin=dict(m1=0.9, m2=0.003)
            )
        ),
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.0)),
)

# IIDFC with the loss of its released code: HOIM's focal terms, and a margin
# that makes every target easier beyond 0.03 rad.
_base_ = 'iidfc_res2net50_prw.py'

model = dict(
    roi_head=dict(
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
    )
)

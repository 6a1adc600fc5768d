# PGSFL, Table 1, "Self-attention*": 14 x 14 maps without guidance.
_base_ = 'pgsfl-dc5_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            loss_attention=None,
            memory=dict(
                update=dict(
                    _delete_=True, type='mmps.MomentumUpdate', momentum=0.5
                )
            ),
        )
    )
)

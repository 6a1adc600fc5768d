# PGSFL, Table 1, "Self-attention": the saliency map without guidance.
_base_ = 'pgsfl_r50_prw.py'

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

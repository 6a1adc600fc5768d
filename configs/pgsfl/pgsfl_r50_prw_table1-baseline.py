# PGSFL, Tables 1 and 2, "Baseline": OIM with mean pooling.
_base_ = 'pgsfl_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            pooling=dict(
                _delete_=True, type='mmps.MeanPooling', projected=True
            ),
            loss_attention=None,
            memory=dict(
                update=dict(
                    _delete_=True, type='mmps.MomentumUpdate', momentum=0.5
                )
            ),
        )
    )
)

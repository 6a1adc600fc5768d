# PGSFL, Table 2, "Baseline w/ AMU", tau 0.03.
_base_ = 'pgsfl_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            pooling=dict(
                _delete_=True, type='mmps.MeanPooling', projected=True
            ),
            loss_attention=None,
            memory=dict(update=dict(temperature=0.03)),
        )
    )
)

# PGSFL, Table 1, "PGA*": 14 x 14 maps, with the fixed momentum.
_base_ = 'pgsfl-dc5_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=dict(
                update=dict(
                    _delete_=True, type='mmps.MomentumUpdate', momentum=0.5
                )
            ),
        )
    )
)

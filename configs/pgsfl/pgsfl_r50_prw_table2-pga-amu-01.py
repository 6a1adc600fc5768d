# PGSFL, Table 2, "PGA w/ AMU", tau 0.1.
_base_ = 'pgsfl_r50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=dict(update=dict(temperature=0.1)),
        )
    )
)

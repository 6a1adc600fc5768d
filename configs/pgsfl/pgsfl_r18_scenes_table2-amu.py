# The small PGSFL, Table 2, "Baseline w/ AMU", by equation 8.
_base_ = 'pgsfl-baseline_r18_scenes.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=dict(
                update=dict(
                    _delete_=True,
                    type='mmps.AdaptiveMomentumUpdate',
                    temperature=0.05,
                )
            )
        )
    )
)

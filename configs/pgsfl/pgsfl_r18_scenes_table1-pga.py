# The small PGSFL, Tables 1 and 2, "PGA": guided, with a fixed momentum.
_base_ = 'pgsfl_r18_scenes.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=dict(
                update=dict(
                    _delete_=True, type='mmps.MomentumUpdate', momentum=0.9
                )
            ),
        )
    )
)

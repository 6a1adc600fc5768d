# The small PGSFL without its parts: OIM with mean pooling.
_base_ = 'pgsfl_r18_scenes.py'

model = dict(
    roi_head=dict(
        reid_head=dict(
            pooling=dict(
                _delete_=True, type='mmps.MeanPooling', projected=True
            ),
            loss_attention=None,
            memory=dict(
                update=dict(
                    _delete_=True, type='mmps.MomentumUpdate', momentum=0.9
                )
            ),
        )
    )
)

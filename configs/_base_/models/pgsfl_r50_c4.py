# PGSFL: OIM with a saliency map that the prototypes guide (PGA) and a momentum
# that looks at the nearest other identity (AMU).
_base_ = 'oim_r50_c4.py'

model = dict(
    rpn_head=dict(
        anchor_generator=dict(scales=[8, 16, 32], ratios=[1.0, 2.0, 3.0])
    ),
    roi_head=dict(
        bbox_head=dict(decomposition=dict(mode='mean')),
        reid_head=dict(
            pooling=dict(type='mmps.PrototypeGuidedAttention'),
            # At the scale of 0.01 of the other methods the saliency map, which
            # reads this projection, would be constant.
            projection=dict(in_channels=[2048], init_std=None),
            memory=dict(
                update=dict(
                    _delete_=True,
                    type='mmps.AdaptiveMomentumUpdate',
                    temperature=0.05,
                ),
            ),
            loss_attention=dict(
                type='mmps.PrototypeGuidanceLoss', loss_weight=0.1
            ),
        ),
    ),
)

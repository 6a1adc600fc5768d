# HOIM with the twelve anchor ratios of IIDFC's baseline, still on ResNet-50.
_base_ = 'hoim_r50_c4.py'

model = dict(
    rpn_head=dict(
        anchor_generator=dict(
            ratios=[0.9, 1.4, 1.9, 2.3, 2.5, 2.7, 2.9, 3.1, 3.5, 4.0, 4.6, 5.2]
        )
    )
)

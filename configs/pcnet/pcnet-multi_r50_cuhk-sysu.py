# PCNet with four anchors per location, each with points of its own.
_base_ = 'pcnet_r50_cuhk-sysu.py'

model = dict(
    bbox_head=dict(
        anchor_generator=dict(
            scales=None,
            octave_base_scale=4,
            scales_per_octave=2,
            ratios=[1.0, 2.0],
        )
    )
)

# Four anchors per location on scenes.
_base_ = 'pcnet_r18_scenes.py'

model = dict(
    bbox_head=dict(
        anchor_generator=dict(
            scales=None,
            octave_base_scale=4,
            scales_per_octave=2,
            ratios=[1.3, 2.6],
        )
    )
)

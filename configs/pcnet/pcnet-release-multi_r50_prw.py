# The release's multi-anchor configuration on PRW.
_base_ = 'pcnet-release_r50_prw.py'

model = dict(
    bbox_head=dict(
        stacked_convs=4,
        shared_tower=True,
        aggregation=dict(logit_clamp=30.0),
        anchor_generator=dict(
            scales=None,
            octave_base_scale=4,
            scales_per_octave=2,
            ratios=[1.0, 2.0],
        ),
    )
)

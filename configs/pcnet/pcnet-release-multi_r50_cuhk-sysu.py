# The release's multi-anchor configuration on CUHK-SYSU.
_base_ = 'pcnet-release_r50_cuhk-sysu.py'

model = dict(
    bbox_head=dict(
        stacked_convs=1,
        aggregation=dict(logit_clamp=30.0),
        anchor_generator=dict(
            scales=None,
            octave_base_scale=4,
            scales_per_octave=2,
            ratios=[1.0, 2.0],
        ),
        loss_cls=dict(loss_weight=5.0),
        # Weight 5 over four times the number of positives.
        loss_bbox=dict(loss_weight=1.25),
    )
)

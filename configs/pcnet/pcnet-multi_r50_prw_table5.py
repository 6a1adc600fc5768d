# PCNet, Table 5, four anchors: the weights of pcnet-multi_r50_prw.py, tested
# as the release does.
_base_ = 'pcnet_r50_prw_table5.py'

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

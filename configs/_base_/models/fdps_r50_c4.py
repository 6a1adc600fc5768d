# FDPS: every task reads its own marginal of the RoI map.
_base_ = 'oim_r50_c4.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            decomposition=dict(type='mmps.MarginalDecomposition'),
            loss_bbox=dict(loss_weight=10.0),
        ),
    ),
    test_cfg=dict(rcnn=dict(confidence_weighted=True)),
)

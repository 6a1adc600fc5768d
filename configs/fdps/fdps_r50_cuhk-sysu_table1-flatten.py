# FDPS, Table 1, "flatten": the flattened map for detection.
_base_ = 'fdps_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(decomposition=dict(type='mmps.FlattenDecomposition'))
    )
)

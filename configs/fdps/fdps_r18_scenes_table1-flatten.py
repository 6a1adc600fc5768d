# FDPS, Table 1, "flatten": the flattened map for detection.
_base_ = 'fdps_r18_scenes.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(decomposition=dict(type='mmps.FlattenDecomposition'))
    )
)

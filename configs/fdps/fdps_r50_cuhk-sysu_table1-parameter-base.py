# FDPS, Table 1, "parameter base": learned weights, not marginals.
_base_ = 'fdps_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(decomposition=dict(type='mmps.ParameterDecomposition'))
    )
)

# FDPS, Table 1, "oim base": one max-pooled vector for all tasks.
_base_ = 'fdps_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(decomposition=dict(type='mmps.SharedPooling'))
    )
)

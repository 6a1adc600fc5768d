# FDPS, Table 1, "oim base": one max-pooled vector for all tasks.
_base_ = 'fdps_r18_scenes.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(decomposition=dict(type='mmps.SharedPooling'))
    )
)

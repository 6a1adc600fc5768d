# FDPS with the balanced loss (BOIM in Table 2, +BOIM in Table 3).
_base_ = 'fdps_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(reid_head=dict(loss_reid=dict(type='mmps.BOIMLoss')))
)

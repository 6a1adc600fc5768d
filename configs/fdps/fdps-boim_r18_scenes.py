# The small FDPS with the balanced loss.
_base_ = 'fdps_r18_scenes.py'

model = dict(
    roi_head=dict(reid_head=dict(loss_reid=dict(type='mmps.BOIMLoss')))
)

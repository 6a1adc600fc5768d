# A small OIMNet+++ from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/oimnetppp_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = _base_.small_c4
model.roi_head.reid_head.projection.in_channels = [256]
# Not a method of a dict, but the rule.
model.roi_head.reid_head.memory['update'] = dict(
    type='mmps.LocalizationAwareUpdate'
)

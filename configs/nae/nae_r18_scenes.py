# A small NAE from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/nae_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = _base_.small_c4
# As published: the length of an embedding has to be able to vary.
model.roi_head.reid_head.projection.init_std = 0.01

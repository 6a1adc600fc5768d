# A small PGSFL from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/pgsfl_r50_c4.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = _base_.small_c4
model.roi_head.reid_head = dict(
    projection=dict(in_channels=[256], embed_dims=128, init_std=None),
    pooling=dict(channels=128, size=(6, 3)),
    memory=dict(queue_size=100),
    loss_attention=dict(warmup_iters=250),
)

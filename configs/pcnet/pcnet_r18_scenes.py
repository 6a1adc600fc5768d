# A small PCNet from scratch on rendered scenes, for a CPU (`make demo`).
_base_ = [
    '../_base_/models/pcnet_r18_scenes.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

custom_hooks = [*_base_.custom_hooks, dict(type='mmps.ChannelsLastHook')]

_base_ = [
    '../_base_/models/pcnet_r50_fpn.py',
    '../_base_/datasets/cuhk_sysu.py',
    '../_base_/schedules/schedule_60k.py',
    '../_base_/default_runtime.py',
]

_base_ = [
    '../_base_/models/pcnet_r50_fpn.py',
    '../_base_/datasets/prw.py',
    '../_base_/schedules/schedule_70k.py',
    '../_base_/default_runtime.py',
]

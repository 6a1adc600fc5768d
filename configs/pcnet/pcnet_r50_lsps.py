_base_ = [
    '../_base_/models/pcnet_r50_fpn.py',
    '../_base_/datasets/lsps.py',
    '../_base_/schedules/schedule_120k.py',
    '../_base_/default_runtime.py',
]

# IIDFC on CUHK-SYSU.
_base_ = [
    '../_base_/models/iidfc_r50_c4.py',
    '../_base_/models/res2net50.py',
    '../_base_/datasets/cuhk_sysu_1500x900.py',
    '../_base_/schedules/schedule_iidfc_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = _base_.res2net50

# IIDFC as its published code tests it on CUHK-SYSU, for its checkpoints.
_base_ = [
    '../_base_/models/iidfc-release_r50_c4.py',
    '../_base_/models/res2net50.py',
    '../_base_/datasets/cuhk_sysu_torchvision.py',
    '../_base_/schedules/schedule_iidfc_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = _base_.res2net50

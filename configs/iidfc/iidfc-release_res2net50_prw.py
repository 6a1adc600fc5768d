# IIDFC as its published code tests it on PRW, for its checkpoints.
_base_ = [
    '../_base_/models/iidfc-release_r50_c4.py',
    '../_base_/models/res2net50.py',
    '../_base_/datasets/prw_torchvision.py',
    '../_base_/schedules/schedule_iidfc_prw.py',
    '../_base_/default_runtime.py',
]

model = _base_.res2net50
model.roi_head.reid_head = dict(memory=_base_.prw_memory)

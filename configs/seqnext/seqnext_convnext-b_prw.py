# SeqNeXt with ConvNeXt-B on PRW.
_base_ = [
    '../_base_/models/seqnext_r50_c4.py',
    '../_base_/models/convnext_b.py',
    '../_base_/datasets/prw_crops.py',
    '../_base_/schedules/schedule_seqnext_prw.py',
    '../_base_/default_runtime.py',
]

model = _base_.c4
model.roi_head.bbox_head = [
    dict(head, **_base_.bbox_head) for head in _base_.model.roi_head.bbox_head
]
model.roi_head.reid_head.memory = _base_.prw_memory

# SeqNeXt with ResNet-50 on PRW.
_base_ = [
    '../_base_/models/seqnext_r50_c4.py',
    '../_base_/datasets/prw_crops.py',
    '../_base_/schedules/schedule_seqnext-r50_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(roi_head=dict(reid_head=dict(memory=_base_.prw_memory)))
train_dataloader = dict(batch_size=12)

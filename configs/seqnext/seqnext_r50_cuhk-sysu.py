# SeqNeXt with ResNet-50 on CUHK-SYSU.
_base_ = [
    '../_base_/models/seqnext_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_crops.py',
    '../_base_/schedules/schedule_seqnext-r50_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=12)

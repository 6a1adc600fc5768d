# COAT on CUHK-SYSU.
_base_ = [
    '../_base_/models/coat_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_1500x900.py',
    '../_base_/schedules/schedule_coat_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(reid_head=dict(id_classifier=dict(loss_weight=0.1)))
)
train_dataloader = dict(batch_size=3)

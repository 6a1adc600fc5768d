# COAT on PRW.
_base_ = [
    '../_base_/models/coat_r50_c4.py',
    '../_base_/datasets/prw_1500x900.py',
    '../_base_/schedules/schedule_coat_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    roi_head=dict(
        reid_head=dict(
            memory=_base_.prw_memory, id_classifier=dict(max_ids=483)
        )
    )
)
train_dataloader = dict(batch_size=3)

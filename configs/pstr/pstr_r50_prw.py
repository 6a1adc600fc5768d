# PSTR on PRW: no triplets, and half of the coarsest map's features.
_base_ = [
    '../_base_/models/pstr_r50.py',
    '../_base_/datasets/prw_multiscale.py',
    '../_base_/schedules/schedule_pstr_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(
        map_weights=(0.5, 1.0, 1.0), memory=_base_.prw_memory, loss_tri=None
    )
)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scales = train_pipeline[2].scales[:5]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
# Scores of a focal loss are low; the published code searches these.
val_evaluator = dict(det_thr=0.3)
test_evaluator = val_evaluator

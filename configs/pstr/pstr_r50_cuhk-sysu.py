# PSTR on CUHK-SYSU.
_base_ = [
    '../_base_/models/pstr_r50.py',
    '../_base_/datasets/cuhk_sysu_multiscale.py',
    '../_base_/schedules/schedule_pstr_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

train_pipeline = _base_.train_pipeline
train_pipeline[2].scales = train_pipeline[2].scales[:5]
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
# Scores of a focal loss are low; the published code searches these.
val_evaluator = dict(det_thr=0.25)
test_evaluator = val_evaluator

# ROI-AlignPS on PRW, where both heads are as on CUHK-SYSU.
_base_ = [
    '../_base_/models/roi-alignps_r50_afa.py',
    '../_base_/datasets/prw_multiscale.py',
    '../_base_/schedules/schedule_roi_alignps_prw.py',
    '../_base_/default_runtime.py',
]

model = dict(
    bbox_head=dict(memory=_base_.prw_memory),
    roi_head=dict(reid_head=dict(memory=_base_.prw_memory)),
)

train_dataloader = dict(batch_size=5)
# As in AlignPS.
val_evaluator = dict(det_thr=0.15)
test_evaluator = val_evaluator

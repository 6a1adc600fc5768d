# ROI-AlignPS on CUHK-SYSU.
_base_ = [
    '../_base_/models/roi-alignps_r50_afa.py',
    '../_base_/datasets/cuhk_sysu_multiscale.py',
    '../_base_/schedules/schedule_roi_alignps_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

train_dataloader = dict(batch_size=5)
# As in AlignPS.
val_evaluator = dict(det_thr=0.2)
test_evaluator = val_evaluator

# AlignPS on CUHK-SYSU.
_base_ = [
    '../_base_/models/alignps_r50_afa.py',
    '../_base_/datasets/cuhk_sysu_multiscale.py',
    '../_base_/schedules/schedule_alignps_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

# Scores are products of two, and smaller than those of other methods.
val_evaluator = dict(det_thr=0.2)
test_evaluator = val_evaluator

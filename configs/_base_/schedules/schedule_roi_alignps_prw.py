# ROI-AlignPS' schedule on PRW: that of CUHK-SYSU, with PRW's epochs.
_base_ = 'schedule_roi_alignps_cuhk_sysu.py'

epoch = 1141  # 5704 frames
max_iters = 24 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[16 * epoch, 22 * epoch], end=max_iters)

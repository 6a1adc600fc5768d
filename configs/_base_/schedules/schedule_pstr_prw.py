# PSTR's schedule on PRW, as on CUHK-SYSU.
_base_ = 'schedule_pstr_cuhk_sysu.py'

epoch = 2852  # 5704 frames
max_iters = 24 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[19 * epoch, 23 * epoch], end=max_iters)

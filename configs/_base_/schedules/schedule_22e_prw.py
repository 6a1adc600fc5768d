# NAE's and HOIM's schedule on PRW, as on CUHK-SYSU.
_base_ = 'schedule_22e_cuhk_sysu.py'

epoch = 1141  # 5704 frames
max_iters = 22 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = epoch
param_scheduler[1].update(milestones=[16 * epoch], end=max_iters)

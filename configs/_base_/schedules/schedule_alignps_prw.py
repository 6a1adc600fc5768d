# AlignPS' schedule on PRW, as on CUHK-SYSU with ten times the decay.
_base_ = 'schedule_alignps_cuhk_sysu.py'

epoch = 1426  # 5704 frames
max_iters = 24 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[16 * epoch, 22 * epoch], end=max_iters)
optim_wrapper = dict(optimizer=dict(weight_decay=1e-3))

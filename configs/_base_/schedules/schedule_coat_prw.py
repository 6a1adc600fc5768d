# COAT's schedule on PRW: 13 epochs of three frames, the rate falls after 10.
_base_ = 'schedule_coat_cuhk_sysu.py'

epoch = 1902  # 5704 frames
max_iters = 13 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = epoch
param_scheduler[1].update(milestones=[10 * epoch], end=max_iters)

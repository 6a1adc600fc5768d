# PCNet's schedule on PRW: 70000 iterations of 4 frames.
_base_ = 'schedule_60k.py'

max_iters = 70000
train_cfg = dict(max_iters=max_iters)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[60000], end=max_iters)
optim_wrapper = dict(optimizer=dict(lr=1e-4))

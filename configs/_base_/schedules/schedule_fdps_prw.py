# FDPS's schedule on PRW: 18 epochs, the rate falls after 14.
_base_ = 'schedule_22e_prw.py'

train_cfg = dict(max_iters=18 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(
    milestones=[14 * _base_.epoch], end=18 * _base_.epoch
)

# IIDFC's schedule on CUHK-SYSU: 23 epochs, the rate falls after 16.
_base_ = 'schedule_22e_cuhk_sysu.py'

train_cfg = dict(max_iters=23 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 23 * _base_.epoch

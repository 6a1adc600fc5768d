# SeqNet's schedule on CUHK-SYSU: 20 epochs, the rate falls after 16.
_base_ = 'schedule_22e_cuhk_sysu.py'

train_cfg = dict(max_iters=20 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 20 * _base_.epoch
# SeqNet's code decays every parameter.
optim_wrapper = dict(paramwise_cfg=None)

# SeqNet's schedule on PRW: 18 epochs, the rate falls after 16.
_base_ = 'schedule_22e_prw.py'

train_cfg = dict(max_iters=18 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 18 * _base_.epoch
# SeqNet's code decays every parameter.
optim_wrapper = dict(paramwise_cfg=None)

# OIMNet++'s schedule on PRW: 20 epochs, the rate falls after 16; on CUHK-SYSU
# it is SeqNet's.
_base_ = 'schedule_seqnet_prw.py'

train_cfg = dict(max_iters=20 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 20 * _base_.epoch

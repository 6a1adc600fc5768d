# UGAS on SeqNet on CUHK-SYSU.
_base_ = [
    '../_base_/models/ugas-seqnet_r50_c4.py',
    '../_base_/datasets/cuhk_sysu_1500x900.py',
    '../_base_/schedules/schedule_22e_cuhk_sysu.py',
    '../_base_/default_runtime.py',
]

# 20 epochs, the rate falls after 16.
train_cfg = dict(max_iters=20 * _base_.epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(
    milestones=[16 * _base_.epoch], end=20 * _base_.epoch
)
# SeqNet's code decays every parameter.
optim_wrapper = dict(paramwise_cfg=None)

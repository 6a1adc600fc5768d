# PGSFL's schedule on PRW: 40000 iterations of four frames.
_base_ = 'schedule_22e_prw.py'

train_cfg = dict(max_iters=40000)
param_scheduler = _base_.param_scheduler
param_scheduler[1].update(milestones=[30000], end=40000)
optim_wrapper = dict(
    paramwise_cfg=None, optimizer=dict(lr=1e-4, weight_decay=1e-4)
)
auto_scale_lr = dict(base_batch_size=4)

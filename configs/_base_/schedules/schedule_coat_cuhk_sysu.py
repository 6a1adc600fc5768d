# COAT's schedule on CUHK-SYSU: 14 epochs of three frames, the rate falls after
# 11, the first epoch warms up.
_base_ = 'schedule_seqnet_cuhk_sysu.py'

epoch = 3736  # 11206 frames
max_iters = 14 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = epoch
param_scheduler[1].update(milestones=[11 * epoch], end=max_iters)
auto_scale_lr = dict(base_batch_size=3)

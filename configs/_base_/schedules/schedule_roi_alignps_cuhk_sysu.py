# ROI-AlignPS' schedule on CUHK-SYSU: 24 epochs of five frames.
_base_ = 'schedule_alignps_cuhk_sysu.py'

epoch = 2242  # 11206 frames
max_iters = 24 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].update(start_factor=1 / 200, end=1141)
param_scheduler[1].update(milestones=[16 * epoch, 22 * epoch], end=max_iters)
optim_wrapper = dict(
    optimizer=dict(lr=1.5e-3, weight_decay=5e-4),
    paramwise_cfg=None,
    clip_grad=dict(max_norm=10),
)
auto_scale_lr = dict(base_batch_size=5)

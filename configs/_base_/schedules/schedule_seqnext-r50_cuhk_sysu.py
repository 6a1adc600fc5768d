# Of SeqNeXt with ResNet-50 on CUHK-SYSU: SGD, with twelve frames a step.
_base_ = 'schedule_seqnext_cuhk_sysu.py'

epoch = 933  # 11206 frames
max_iters = 30 * epoch
train_cfg = dict(max_iters=max_iters, val_interval=2 * epoch)
param_scheduler = _base_.param_scheduler
param_scheduler[0].end = epoch - 1
param_scheduler[1].update(milestones=[15 * epoch, 25 * epoch], end=max_iters)
optim_wrapper = dict(
    optimizer=dict(
        _delete_=True, type='SGD', lr=3e-3, momentum=0.9, weight_decay=5e-4
    )
)
auto_scale_lr = dict(base_batch_size=12)

# AlignPS' schedule on CUHK-SYSU: 24 epochs of four frames, the rate falls
# after 16 and 22. Loops count iterations.
epoch = 2802  # 11206 frames
max_iters = 24 * epoch
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2 * epoch
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='LinearLR', start_factor=1 / 3, by_epoch=False, begin=0, end=500
    ),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[16 * epoch, 22 * epoch],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-3, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    clip_grad=dict(max_norm=35),
)
# Total batch that the learning rate is meant for, see --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=4)

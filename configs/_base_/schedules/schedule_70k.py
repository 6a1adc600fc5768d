# PCNet's schedule on PRW: 70000 iterations of 4 frames.
max_iters = 70000
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=10000
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
        milestones=[60000],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=1e-4, momentum=0.9, weight_decay=1e-4),
    paramwise_cfg=dict(bias_lr_mult=2.0, bias_decay_mult=0.0),
    # As PCNet's release: each gradient value is clipped, not their norm.
    clip_grad=dict(type='value', clip_value=5),
)
# Total batch that the learning rate is meant for, see --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=4)

# NAE's and HOIM's schedule on PRW: 22 epochs of five frames, the rate
# falls after 16, the first epoch warms up. Loops count iterations.
epoch = 1141  # 5704 frames
max_iters = 22 * epoch
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2 * epoch
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=epoch
    ),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[16 * epoch],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='SGD', lr=3e-3, momentum=0.9, weight_decay=5e-4),
    # No decay for biases, those of batch norm included.
    paramwise_cfg=dict(custom_keys=dict(bias=dict(decay_mult=0.0))),
    clip_grad=dict(max_norm=10),
)
# Total batch that the learning rate is meant for, see --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=5)

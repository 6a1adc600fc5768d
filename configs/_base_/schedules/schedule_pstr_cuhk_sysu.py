# PSTR's schedule on CUHK-SYSU: 24 epochs of two frames, the rate falls after
# 19 and 23. Loops count iterations.
epoch = 5603  # 11206 frames
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
        milestones=[19 * epoch, 23 * epoch],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    paramwise_cfg=dict(
        custom_keys={
            'backbone': dict(lr_mult=0.2),
            'sampling_offsets': dict(lr_mult=0.1),
            'reference_points': dict(lr_mult=0.1),
        }
    ),
    clip_grad=dict(max_norm=0.1, norm_type=2),
)
# Total batch that the learning rate is meant for, see --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=2)

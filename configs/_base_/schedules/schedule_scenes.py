# A short schedule for small models from scratch on the CPU: AdamW, cosine.
max_iters = 2700
train_cfg = dict(
    type='IterBasedTrainLoop',
    max_iters=max_iters,
    val_interval=max_iters // 3,
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=150),
    dict(
        type='CosineAnnealingLR',
        by_epoch=False,
        begin=150,
        end=max_iters,
        eta_min_ratio=0.01,
    ),
]

optim_wrapper = dict(
    type='mmps.BF16OptimWrapper',
    optimizer=dict(type='mmps.FusedAdamW', lr=1e-3, weight_decay=0.02),
    # Published to start at .01 or to scale a score, these norms would need
    # more steps to grow than there are.
    paramwise_cfg=dict(
        custom_keys={
            'reg_norm': dict(lr_mult=20.0),
            'classifier.norm': dict(lr_mult=20.0),
        }
    ),
    clip_grad=dict(max_norm=20),
)
auto_scale_lr = dict(enable=False, base_batch_size=4)

# SeqNeXt's schedule on CUHK-SYSU: 30 epochs of eight frames with Adam, the
# rate falls after 15 and 25, the first thousand steps warm up.
epoch = 1400  # 11206 frames
max_iters = 30 * epoch
train_cfg = dict(
    type='IterBasedTrainLoop', max_iters=max_iters, val_interval=2 * epoch
)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')

param_scheduler = [
    dict(
        type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=1000
    ),
    dict(
        type='MultiStepLR',
        by_epoch=False,
        begin=0,
        end=max_iters,
        milestones=[15 * epoch, 25 * epoch],
        gamma=0.1,
    ),
]

optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4),
    clip_grad=dict(max_norm=10),
)
# Total batch that the learning rate is meant for, see --auto-scale-lr.
auto_scale_lr = dict(enable=False, base_batch_size=8)

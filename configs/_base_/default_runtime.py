# What every run shares. mmdet's parts are found by their plain names, those of
# mmps by `mmps.Name`.
_base_ = 'mmdet::_base_/default_runtime.py'

custom_imports = dict(imports=['mmps'], allow_failed_imports=False)

default_hooks = dict(
    # Validation is logged at its training step: loops count iterations.
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(
        type='mmps.CheckpointHook',
        by_epoch=False,
        interval=10000,
        max_keep_ckpts=2,
        save_best='person_search/mAP',
        rule='greater',
    ),
)
custom_hooks = [
    # Sizes the identity memory by the training set's people.
    dict(type='mmps.ResolvePersonIdsHook'),
    # Stops before a loss that is not finite spoils weights and memory.
    dict(type='mmps.FiniteLossHook', on_nonfinite='stop'),
    # Makes a resumed run equal to an uninterrupted one.
    dict(type='mmps.ResumeHook'),
]

log_processor = dict(by_epoch=False)

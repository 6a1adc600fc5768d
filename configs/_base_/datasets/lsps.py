# LSPS: data/LSPS, or $MMPS_DATA_ROOT/LSPS (see mmps.LSPSDataset for the
# layout).
# The papers' input: 1333 x 800, horizontal flip.
dataset_type = 'mmps.LSPSDataset'
data_root = 'data/LSPS'
img_scale = (1333, 800)

train_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(type='mmdet.Resize', scale=img_scale, keep_ratio=True),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmps.FilterPersonAnnotations', min_size=(1, 1)),
    dict(type='mmps.PackPersonSearchInputs'),
]
# Ground truth is loaded after Resize and stays in original pixels.
test_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmdet.Resize', scale=img_scale, keep_ratio=True),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(type='mmps.PackPersonSearchInputs'),
]

# No AspectRatioBatchSampler: the cameras' frames are wider than high.
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmps.SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='test',
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmps.PersonSearchMetric')
test_evaluator = val_evaluator

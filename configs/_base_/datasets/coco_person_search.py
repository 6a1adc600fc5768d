# Your own data: COCO JSON with person_id and a query file, in the form that
# mmps.CocoPersonSearchDataset describes, below data/person_search or
# $MMPS_DATA_ROOT/person_search.
# The papers' input: 1333 x 800, horizontal flip.
dataset_type = 'mmps.CocoPersonSearchDataset'
data_root = 'data/person_search'
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

# If the frames differ in orientation, batch_sampler=dict(
# type='mmps.AspectRatioBatchSampler') saves padding; it needs height and
# width in the annotation file, or read_sizes=True.
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='mmps.SeededInfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        split='train',
        ann_file='annotations/train.json',
        data_prefix=dict(img_path='images'),
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
        ann_file='annotations/test.json',
        query_file='annotations/query.json',
        data_prefix=dict(img_path='images'),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmps.PersonSearchMetric')
test_evaluator = val_evaluator

# Scenes: rendered by tools/make_scenes.py in PRW's form, read as PRW is.
_base_ = 'prw.py'

data_root = 'data/scenes'
img_scale = (384, 216)

train_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(
        type='RandomResize',
        resize_type='mmdet.Resize',
        scale=img_scale,
        ratio_range=(0.85, 1.25),
        keep_ratio=True,
    ),
    dict(type='mmps.PersonRandomCrop', crop_size=(384, 216)),
    # One input size: oneDNN builds its kernels per size.
    dict(type='mmdet.Pad', size=(384, 224)),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmps.ChannelGain', low=0.84, high=1.19),
    dict(type='mmps.FilterPersonAnnotations', min_size=(1, 1)),
    dict(type='mmps.PackPersonSearchInputs'),
]
test_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmdet.Resize', scale=img_scale, keep_ratio=True),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(type='mmps.PackPersonSearchInputs'),
]

train_dataloader = dict(
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(data_root=data_root, pipeline=test_pipeline),
)
test_dataloader = val_dataloader

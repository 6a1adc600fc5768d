# PRW as SeqNeXt is trained on it: squares of frames at 1500 x 900, half of
# them around one person, half around all.
_base_ = 'prw_1500x900.py'

crop_size = (640, 640)
_whole = [
    # A crop may leave the frame.
    dict(type='mmps.PadAround', size=(3 * crop_size[0], 3 * crop_size[1])),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='mmps.FocusedCrop', crop_size=crop_size)],
            [dict(type='mmps.SafeCrop', crop_size=crop_size)],
        ],
    ),
]
train_pipeline = _base_.train_pipeline
train_pipeline = [*train_pipeline[:3], *_whole, *train_pipeline[3:]]

train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
del _whole

# PRW as anchor-free and transformer methods train on it: six sizes, four
# frames; tested at 1500 x 900.
_base_ = 'prw_1500x900.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(
    type='RandomChoiceResize',
    resize_type='mmdet.Resize',
    scales=[
        *((667, 400), (1000, 600), (1333, 800)),
        *((1500, 900), (1666, 1000), (2000, 1200)),
    ],
    keep_ratio=True,
)
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=train_pipeline))

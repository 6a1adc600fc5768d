# PRW as the two-stage papers read it: at most 1500 x 900, five frames.
_base_ = 'prw.py'

img_scale = (1500, 900)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = img_scale
test_pipeline = _base_.test_pipeline
test_pipeline[1].scale = img_scale

# Of the identity memory: fewer unlabelled people than on CUHK-SYSU (5000).
prw_memory = dict(queue_size=500)

train_dataloader = dict(batch_size=5, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

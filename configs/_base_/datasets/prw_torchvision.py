# PRW at 1500 x 900, resized as by the published code on torchvision.
_base_ = 'prw_1500x900.py'

train_pipeline = _base_.train_pipeline
train_pipeline[2] = dict(type='mmps.TorchvisionResize', scale=(1500, 900))
test_pipeline = _base_.test_pipeline
test_pipeline[1] = dict(type='mmps.TorchvisionResize', scale=(1500, 900))

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

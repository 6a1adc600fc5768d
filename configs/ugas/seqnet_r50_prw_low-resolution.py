# UGAS, low-resolution table, PRW (L): test frames lose two thirds of their
# resolution. Same weights as its base.
_base_ = '../seqnet/seqnet_r50_prw.py'

test_pipeline = _base_.test_pipeline
test_pipeline.insert(1, dict(type='mmps.Downscale', factor=3))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

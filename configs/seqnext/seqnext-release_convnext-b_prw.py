# SeqNeXt as its published code tests it on PRW, for its checkpoints.
_base_ = [
    'seqnext-gfn_convnext-b_prw.py',
    '../_base_/models/seqnext-release.py',
]

model = _base_.release

# Pixels stay floating-point numbers when they are resized.
test_pipeline = _base_.test_pipeline
test_pipeline[0].to_float32 = True
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# SeqNeXt with ResNet-50 as its published code tests it on PRW.
_base_ = 'seqnext-gfn_r50_prw.py'

model = dict(
    rpn_head=dict(
        anchor_generator=dict(type='mmps.TorchvisionAnchorGenerator')
    ),
    # What it was trained with is not in its checkpoints.
    roi_head=dict(gallery_filter=dict(memory=None)),
    test_cfg=dict(rcnn=dict(score_thr=0.5, before_last=dict(score_thr=0.5))),
)

# Pixels stay floating-point numbers when they are resized.
test_pipeline = _base_.test_pipeline
test_pipeline[0].to_float32 = True
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

# What SeqNeXt's published code does at test, for its checkpoints:
# `model = _base_.release` in a config of SeqNeXt with GFN.
release = dict(
    rpn_head=dict(
        anchor_generator=dict(type='mmps.TorchvisionAnchorGenerator')
    ),
    # What it was trained with is not in its checkpoints.
    roi_head=dict(gallery_filter=dict(memory=None)),
    test_cfg=dict(rcnn=dict(score_thr=0.5, before_last=dict(score_thr=0.5))),
)

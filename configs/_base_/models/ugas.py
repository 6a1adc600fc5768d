# UGAS: a shallow branch (SFM) taught by the deep one (SD), and a variance for
# every embedding while training (UG). On NAE and on SeqNet alike:
# `model = _base_.ugas`.
ugas = dict(
    backbone=dict(out_indices=(0, 1, 2)),
    neck=dict(type='mmps.ShallowFusion', in_channels=[256, 512]),
    roi_head=dict(
        reid_head=dict(uncertainty=dict(type='mmps.UncertaintyGuidance')),
        shallow=dict(
            type='mmps.ShallowBranch',
            roi_extractor=dict(
                type='mmps.AttentiveRoIExtractor',
                roi_layer=dict(
                    type='RoIAlign',
                    output_size=14,
                    sampling_ratio=2,
                    aligned=False,
                ),
                out_channels=256,
                featmap_strides=[4, 8],
            ),
            reid_head=dict(
                type='mmps.ReIDHead',
                pooling=dict(type='mmps.MaxPooling'),
                projection=dict(
                    type='mmps.LinearProjection',
                    in_channels=[256],
                    embed_dims=256,
                ),
                memory=dict(type='mmps.IdentityMemory', queue_size=5000),
                loss_reid=dict(type='mmps.OIMLoss'),
                uncertainty=dict(type='mmps.UncertaintyGuidance'),
            ),
            loss_distill=dict(type='mmps.SoftLabelLoss'),
        ),
    ),
    test_cfg=dict(rcnn=dict(embedding='concat')),
)

# A small ROI-AlignPS from scratch on rendered scenes, for a CPU. The RoI head
# reads C3: people are 50 to 90 pixels high.
_base_ = [
    '../_base_/models/roi-alignps_r50_afa.py',
    '../_base_/models/small_c4.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

_small = _base_.small_c4
_roi = dict(output_size=(12, 6))
_backbone = dict(
    depth=18,
    base_channels=32,
    frozen_stages=-1,
    norm_eval=False,
    norm_cfg=dict(requires_grad=True),
    style='pytorch',
    init_cfg=None,
)

model = dict(
    data_preprocessor=_small.data_preprocessor,
    backbone=_backbone,
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=96, num_outs=3),
    roi_levels=(1,),
    bbox_head=dict(
        in_channels=96,
        feat_channels=64,
        stacked_convs=1,
        strides=[8, 16, 32],
        regress_ranges=((-1, 1e8), (-2, -1), (-2, -1)),
        # As in alignps_r18_scenes.
        memory=dict(queue_size=100, update=dict(momentum=0.9, normalise=True)),
        loss_reid=dict(temperature=1 / 15, mean_over='people'),
    ),
    rpn_head=dict(_small.rpn_head, in_channels=64),
    roi_head=dict(
        bbox_roi_extractor=dict(
            roi_layer=_roi, out_channels=64, featmap_strides=[8]
        ),
        # layer3
        shared_head=dict(backbone=_backbone, stage=2),
        # Its boxes are not used at test, and from scratch its embeddings
        # would lead the backbone alone.
        bbox_head=dict(
            in_channels=128,
            roi_feat_size=(6, 3),
            loss_bbox=dict(loss_weight=1.0),
        ),
        reid_head=dict(
            _base_.small_reid_head,
            loss_reid=dict(loss_weight=0.3),
            projection=dict(
                in_channels=[64, 128], embed_dims=128, init_std=None
            ),
        ),
    ),
    loss_mutual=dict(embed_dims=(128, 96)),
    train_cfg=_small.train_cfg,
)
del _small, _roi, _backbone

# Scores are products of two, and smaller than those of other methods.
val_evaluator = dict(det_thr=0.2)
test_evaluator = val_evaluator

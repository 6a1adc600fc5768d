# A small AlignPS from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/alignps_r50_afa.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

model = dict(
    data_preprocessor=dict(mean=[114.0, 114.0, 114.0], std=[58.0, 58.0, 58.0]),
    backbone=dict(
        depth=18,
        base_channels=32,
        frozen_stages=-1,
        norm_eval=False,
        norm_cfg=dict(requires_grad=True),
        style='pytorch',
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128, 256], out_channels=96, num_outs=3),
    bbox_head=dict(
        in_channels=96,
        feat_channels=64,
        stacked_convs=1,
        strides=[8, 16, 32],
        regress_ranges=((-1, 1e8), (-2, -1), (-2, -1)),
        # An average over several sightings of unit length, as in PCNet's: one
        # that starts short has no say for too many of the few steps.
        memory=dict(queue_size=100, update=dict(momentum=0.9, normalise=True)),
        loss_reid=dict(temperature=1 / 15),
    ),
)

# Scores are products of two, and smaller than those of other methods.
val_evaluator = dict(det_thr=0.2)
test_evaluator = val_evaluator

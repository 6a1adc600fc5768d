# A small PSTR from scratch on rendered scenes, for a CPU.
_base_ = [
    '../_base_/models/pstr_r50.py',
    '../_base_/datasets/scenes.py',
    '../_base_/schedules/schedule_scenes.py',
    '../_base_/scenes_runtime.py',
]

_attention = dict(embed_dims=96, num_levels=1, batch_first=True)
_ffn = dict(embed_dims=96, feedforward_channels=192, ffn_drop=0.0)
model = dict(
    num_queries=60,
    data_preprocessor=dict(mean=[114.0, 114.0, 114.0], std=[58.0, 58.0, 58.0]),
    backbone=dict(
        depth=18,
        base_channels=32,
        # A map of stride 8: people are 50 to 90 pixels high.
        num_stages=3,
        strides=(1, 2, 2),
        dilations=(1, 1, 1),
        out_indices=(0, 1, 2),
        frozen_stages=-1,
        norm_eval=False,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 64, 128], out_channels=96),
    encoder=dict(
        num_layers=2,
        layer_cfg=dict(self_attn_cfg=_attention, ffn_cfg=_ffn),
    ),
    decoder=dict(
        num_layers=2,
        layer_cfg=dict(
            self_attn_cfg=dict(embed_dims=96, dropout=0.0),
            cross_attn_cfg=_attention,
            ffn_cfg=_ffn,
        ),
    ),
    positional_encoding=dict(num_feats=48),
    bbox_head=dict(
        embed_dims=96,
        # An average over several sightings, as in pcnet_r18_scenes.
        memory=dict(queue_size=100, update=dict(momentum=0.9)),
        # Six of each, which would leave little to boxes from scratch.
        loss_reid=dict(loss_weight=0.1),
        loss_tri=dict(loss_weight=0.1),
    ),
)
val_evaluator = dict(det_thr=0.3)
test_evaluator = val_evaluator
del _attention, _ffn

# ConvNeXt-T, torchvision's weights and stochastic depth.
# `model = _base_.c4` for C4 heads, with `_base_.bbox_head` in every box head;
# `_base_.pyramid` for pyramids; `_base_.shallow` is what UGAS reads.
_network = dict(
    type='mmps.ConvNeXt',
    depths=[3, 3, 9, 3],
    widths=[96, 192, 384, 768],
    drop_path_rate=0.1,
    frozen_stages=0,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.pytorch.org/models/'
        'convnext_tiny-983f1562.pth',
    ),
)
_c4 = dict(_network, _delete_=True, num_stages=3, out_indices=[2])

c4 = dict(
    backbone=_c4,
    rpn_head=dict(in_channels=384, feat_channels=384),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=384),
        shared_head=dict(backbone=_c4),
        reid_head=dict(projection=dict(in_channels=[384, 768])),
    ),
)
bbox_head = dict(in_channels=768)
shallow = dict(out_indices=[0, 1, 2], in_channels=[96, 192])
pyramid = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        _network, _delete_=True, out_indices=[1, 2, 3], norm_outputs=True
    ),
    neck=dict(in_channels=[192, 384, 768], start_level=0),
)
# As SeqNet on ConvNeXt-S was trained.
optimizer = dict(_delete_=True, type='AdamW', lr=5e-5, weight_decay=1e-8)
del _network, _c4

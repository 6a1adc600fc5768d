# PVTv2-B2, its authors' weights.
# `model = _base_.c4` for C4 heads, with `_base_.bbox_head` in every box head;
# `_base_.pyramid` for pyramids; `_base_.shallow` is what UGAS reads.
_network = dict(
    type='mmps.PVTv2',
    embed_dims=64,
    num_layers=[3, 4, 6, 3],
    num_heads=[1, 2, 5, 8],
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://github.com/whai362/PVT/releases/download/v2/'
        'pvt_v2_b2.pth',
    ),
)
_c4 = dict(_network, _delete_=True, num_stages=3, out_indices=[2])

c4 = dict(
    backbone=_c4,
    rpn_head=dict(in_channels=320, feat_channels=320),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=320),
        shared_head=dict(backbone=_c4),
        reid_head=dict(projection=dict(in_channels=[320, 512])),
    ),
)
bbox_head = dict(in_channels=512)
shallow = dict(out_indices=[0, 1, 2], in_channels=[64, 128])
pyramid = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(_network, _delete_=True, out_indices=[1, 2, 3]),
    neck=dict(in_channels=[128, 320, 512], start_level=0),
)
# PSTR's for this backbone, at the rate of ConvNeXt.
optimizer = dict(_delete_=True, type='AdamW', lr=5e-5, weight_decay=1e-4)
del _network, _c4

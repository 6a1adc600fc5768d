# Swin-B, likewise.
_base_ = 'swin_s.py'

_network = dict(
    embed_dims=128,
    num_heads=[4, 8, 16, 32],
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/'
        'v1.0.0/swin_base_patch4_window7_224.pth'
    ),
)

c4 = dict(
    backbone=_network,
    rpn_head=dict(in_channels=512, feat_channels=512),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=512),
        shared_head=dict(backbone=_network),
        reid_head=dict(projection=dict(in_channels=[512, 1024])),
    ),
)
bbox_head = dict(in_channels=1024)
shallow = dict(in_channels=[128, 256])
pyramid = dict(backbone=_network, neck=dict(in_channels=[256, 512, 1024]))

del _network

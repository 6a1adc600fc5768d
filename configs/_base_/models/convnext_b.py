# ConvNeXt-B, likewise.
_base_ = 'convnext_s.py'

_network = dict(
    widths=[128, 256, 512, 1024],
    drop_path_rate=0.5,
    init_cfg=dict(
        checkpoint='https://download.pytorch.org/models/'
        'convnext_base-6075fbad.pth'
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

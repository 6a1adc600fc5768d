# ConvNeXt-S, likewise.
_base_ = 'convnext_t.py'

_network = dict(
    depths=[3, 3, 27, 3],
    drop_path_rate=0.4,
    init_cfg=dict(
        checkpoint='https://download.pytorch.org/models/'
        'convnext_small-0c510722.pth'
    ),
)

c4 = dict(
    backbone=_network,
    roi_head=dict(shared_head=dict(backbone=_network)),
)
pyramid = dict(backbone=_network)

del _network

# Swin-S, likewise.
_base_ = 'swin_t.py'

_network = dict(
    depths=[2, 2, 18, 2],
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/'
        'v1.0.0/swin_small_patch4_window7_224.pth'
    ),
)

c4 = dict(
    backbone=_network,
    roi_head=dict(shared_head=dict(backbone=_network)),
)
pyramid = dict(backbone=_network)

del _network

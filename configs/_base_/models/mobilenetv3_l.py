# MobileNetV3-L, torchvision's second weights.
# `model = _base_.c4` for C4 heads, with `_base_.bbox_head` in every box head;
# `_base_.pyramid` for pyramids; `_base_.shallow` is what UGAS reads.
_network = dict(
    type='mmps.MobileNetV3Large',
    frozen_stages=0,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.pytorch.org/models/'
        'mobilenet_v3_large-5c1a4163.pth',
    ),
)
_c4 = dict(_network, _delete_=True, num_stages=3, out_indices=[2])

c4 = dict(
    backbone=_c4,
    rpn_head=dict(in_channels=112, feat_channels=112),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=112),
        shared_head=dict(backbone=_c4),
        reid_head=dict(projection=dict(in_channels=[112, 960])),
    ),
)
bbox_head = dict(in_channels=960)
shallow = dict(out_indices=[0, 1, 2], in_channels=[24, 40])
pyramid = dict(
    data_preprocessor=dict(
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(_network, _delete_=True, out_indices=[1, 2, 3]),
    neck=dict(in_channels=[40, 112, 960], start_level=0),
)
# The method's own, as SeqNet was trained on it.
optimizer = dict()
del _network, _c4

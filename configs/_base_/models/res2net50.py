# Res2Net-50 26w 4s for backbone and layer4: `model = _base_.res2net50`.
_backbone = dict(
    type='mmps.PlainRes2Net',
    depth=50,
    scales=4,
    base_width=26,
    frozen_stages=-1,
    init_cfg=dict(
        checkpoint='https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/'
        'res2net50_26w_4s-06e79181.pth'
    ),
)

res2net50 = dict(
    backbone=_backbone, roi_head=dict(shared_head=dict(backbone=_backbone))
)
del _backbone

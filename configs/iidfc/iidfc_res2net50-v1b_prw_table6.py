# IIDFC, Table VI, "Res2Net50_v1b_26w_4s+IRR+FC+PAM".
_base_ = 'iidfc_res2net50_prw.py'

_backbone = dict(
    type='mmps.Res2NetV1b',
    init_cfg=dict(
        checkpoint='https://shanghuagao.oss-cn-beijing.aliyuncs.com/res2net/'
        'res2net50_v1b_26w_4s-3cf99910.pth'
    ),
)
model = dict(
    backbone=_backbone, roi_head=dict(shared_head=dict(backbone=_backbone))
)
del _backbone

# OIMNet+++: layer4 is normalised likewise.
_base_ = 'oimnetpp_r50_c4.py'

model = dict(
    roi_head=dict(
        shared_head=dict(
            backbone=dict(norm_cfg=dict(type='mmps.ProtoNorm', affine=True))
        )
    )
)

# PSTR on PRW with PVTv2-B2.
_base_ = ['pstr_r50_prw.py', '../_base_/models/pvtv2_b2.py']

model = dict(
    backbone=_base_.pyramid.backbone,
    neck=dict(in_channels=[128, 320, 512]),
    # Unlike on ResNet-50.
    bbox_head=dict(map_weights=(1.0, 1.0, 1.0)),
)

# PSTR on CUHK-SYSU, with deformable convolutions in the backbone.
_base_ = ['pstr_r50_cuhk-sysu.py', '../_base_/models/dcnv2.py']

model = dict(backbone=_base_.deformable_backbone)

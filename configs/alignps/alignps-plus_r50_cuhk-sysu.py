# AlignPS+ on CUHK-SYSU.
_base_ = ['alignps_r50_cuhk-sysu.py', '../_base_/models/dcnv2.py']

model = dict(backbone=_base_.deformable_backbone)

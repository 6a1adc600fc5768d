# AlignPS+ on CUHK-SYSU.
_base_ = 'alignps_r50_cuhk-sysu.py'

model = dict(backbone=_base_.deformable_backbone)

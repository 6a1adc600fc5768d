# AlignPS+ on PRW.
_base_ = ['alignps_r50_prw.py', '../_base_/models/dcnv2.py']

model = dict(backbone=_base_.deformable_backbone)
optim_wrapper = dict(optimizer=dict(weight_decay=7e-4))

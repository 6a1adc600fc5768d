# PCNet on Swin-B.
_base_ = ['pcnet_r50_prw.py', '../_base_/models/swin_b.py']

model = _base_.pyramid
optim_wrapper = dict(optimizer=_base_.optimizer)

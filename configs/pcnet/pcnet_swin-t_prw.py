# PCNet on Swin-T.
_base_ = ['pcnet_r50_prw.py', '../_base_/models/swin_t.py']

model = _base_.pyramid
optim_wrapper = dict(optimizer=_base_.optimizer)

# PCNet on PVTv2-B2.
_base_ = ['pcnet_r50_prw.py', '../_base_/models/pvtv2_b2.py']

model = _base_.pyramid
optim_wrapper = dict(optimizer=_base_.optimizer)

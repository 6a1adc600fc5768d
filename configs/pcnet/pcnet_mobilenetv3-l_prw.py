# PCNet on MobileNetV3-L.
_base_ = ['pcnet_r50_prw.py', '../_base_/models/mobilenetv3_l.py']

model = _base_.pyramid
optim_wrapper = dict(optimizer=_base_.optimizer)

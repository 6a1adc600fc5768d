# SeqNet on PVTv2-B2.
_base_ = ['seqnet_r50_prw.py', '../_base_/models/pvtv2_b2.py']

model = _base_.c4
model.roi_head.bbox_head = [
    dict(head, **_base_.bbox_head) for head in _base_.model.roi_head.bbox_head
]
optim_wrapper = dict(optimizer=_base_.optimizer)

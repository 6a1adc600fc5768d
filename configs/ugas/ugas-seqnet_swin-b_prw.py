# UGAS on SeqNet on Swin-B.
_base_ = ['ugas-seqnet_r50_prw.py', '../_base_/models/swin_b.py']

model = _base_.c4
model.backbone.out_indices = _base_.shallow.out_indices
model.neck = dict(in_channels=_base_.shallow.in_channels)
model.roi_head.bbox_head = [
    dict(head, **_base_.bbox_head) for head in _base_.model.roi_head.bbox_head
]
optim_wrapper = dict(optimizer=_base_.optimizer)

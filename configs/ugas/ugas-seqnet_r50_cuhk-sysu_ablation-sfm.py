# UGAS, SeqNet+SFM on CUHK-SYSU; the low-resolution table reads its figures of
# the data set's "resolution" gallery.
_base_ = 'ugas-seqnet_r50_cuhk-sysu.py'

_reid_head = dict(uncertainty=None)
model = dict(
    roi_head=dict(
        reid_head=_reid_head,
        shallow=dict(reid_head=_reid_head, loss_distill=None),
    )
)
del _reid_head

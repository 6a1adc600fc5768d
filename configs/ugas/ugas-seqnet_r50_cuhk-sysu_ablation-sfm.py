# UGAS, SeqNet+SFM on CUHK-SYSU; the low-resolution table reads its figures of
# the data set's "resolution" gallery.
_base_ = 'ugas-seqnet_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        reid_head=dict(uncertainty=None),
        shallow=dict(reid_head=dict(uncertainty=None), loss_distill=None),
    )
)

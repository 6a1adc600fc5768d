# FDPS, Table 2, "+ w".
_base_ = 'fdps-boim_r50_prw.py'

model = dict(
    roi_head=dict(reid_head=dict(loss_reid=dict(use_negatives=False)))
)

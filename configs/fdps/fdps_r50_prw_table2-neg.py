# FDPS, Table 2, "+ l_neg".
_base_ = 'fdps-boim_r50_prw.py'

model = dict(roi_head=dict(reid_head=dict(loss_reid=dict(use_density=False))))

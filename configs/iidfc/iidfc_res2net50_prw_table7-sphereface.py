# IIDFC, Table VII, "baseline+PAM+SphereFace loss".
_base_ = 'iidfc_res2net50_prw.py'

model = dict(
    roi_head=dict(reid_head=dict(loss_reid=dict(margin=dict(m1=1.35, m2=0.0))))
)

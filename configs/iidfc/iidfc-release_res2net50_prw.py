# IIDFC with the margin of its released code; beyond 0.03 rad it makes every
# target easier.
_base_ = 'iidfc_res2net50_prw.py'

model = dict(
    roi_head=dict(
        reid_head=dict(loss_reid=dict(margin=dict(m1=0.9, m2=0.003)))
    )
)

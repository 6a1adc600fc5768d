# IIDFC, Table IV, "OIM(ours)+PAM+FC".
_base_ = '../oim/oim_r50_cuhk-sysu.py'

model = dict(
    roi_head=dict(
        attention=dict(type='mmps.PedestrianAttention'),
        reid_head=dict(loss_reid=dict(type='mmps.FCLoss')),
    )
)

# IIDFC on ResNet-50: CIoU beside smooth-L1 (IRR), an angular margin (FC), and
# attention on the RoI feature (PAM).
_base_ = 'hoim-base_r50_c4.py'

model = dict(
    rpn_head=dict(loss_bbox=dict(loss_weight=5.0)),
    roi_head=dict(
        attention=dict(type='mmps.PedestrianAttention'),
        bbox_head=dict(
            loss_bbox=dict(
                _delete_=True, type='mmps.IRRLoss', loss_weight=5.0
            ),
        ),
        reid_head=dict(loss_reid=dict(margin=dict(m1=0.9, m2=0.1))),
    ),
)

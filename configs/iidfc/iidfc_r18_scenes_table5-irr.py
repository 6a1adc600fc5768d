# IIDFC, Table V, "+IRR": HOIM-base with smooth-L1 and CIoU.
_base_ = 'hoim-base_r18_scenes.py'

model = dict(
    rpn_head=dict(loss_bbox=dict(loss_weight=5.0)),
    roi_head=dict(
        bbox_head=dict(
            loss_bbox=dict(_delete_=True, type='mmps.IRRLoss', loss_weight=5.0)
        )
    ),
)

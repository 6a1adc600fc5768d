# OIMNet++: a norm of the embedding that counts every person once, and a memory
# that trusts well placed boxes more.
_base_ = 'oim_r50_c4.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(reg_norm=False, loss_bbox=dict(loss_weight=10.0)),
        reid_head=dict(
            projection=dict(
                in_channels=[2048], norm=dict(type='mmps.ProtoNorm')
            ),
            memory=dict(
                update=dict(_delete_=True, type='mmps.LocalizationAwareUpdate')
            ),
        ),
    ),
)

# Table 1, row 6: a 3x3 convolution with CSA and triplet loss.
_base_ = 'pcnet_r50_prw.py'

model = dict(
    bbox_head=dict(
        point_pooling=dict(_delete_=True, type='mmps.ConvPointPooling'),
        loss_dist=None,
    )
)

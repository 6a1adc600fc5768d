# Table 1, row 5: a 3x3 convolution in the place of CPP.
_base_ = 'pcnet_r18_scenes.py'

model = dict(
    bbox_head=dict(
        point_pooling=dict(_delete_=True, type='mmps.ConvPointPooling'),
        aggregation=None,
        loss_dist=None,
        loss_tri=None,
    )
)

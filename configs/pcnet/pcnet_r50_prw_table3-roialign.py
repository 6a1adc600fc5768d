# Table 3: boxes cropped by RoIAlign on every level.
_base_ = 'pcnet_r50_prw.py'

model = dict(
    bbox_head=dict(
        det_from='neck',
        point_pooling=dict(_delete_=True, type='mmps.IdentityPointPooling'),
        aggregation=dict(_delete_=True, type='mmps.RoIAlignAggregation'),
        loss_dist=None,
        loss_tri=None,
    )
)

# Table 3: a parallel re-id branch without CPP.
_base_ = 'pcnet_r50_prw.py'

model = dict(
    bbox_head=dict(
        det_from='neck',
        point_pooling=dict(_delete_=True, type='mmps.ConvPointPooling'),
        aggregation=None,
        loss_dist=None,
        loss_tri=None,
    )
)

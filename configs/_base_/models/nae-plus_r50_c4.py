# NAE+: the norm at every position weighs it and tells people from background.
_base_ = 'nae_r50_c4.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            decomposition=dict(mode='mean'),
            classifier=dict(type='mmps.PixelNormClassifier'),
        ),
        reid_head=dict(
            pooling=dict(type='mmps.NormAttention'),
            projection=dict(in_channels=[2048]),
        ),
    )
)

# NAE+ of both maps, --embedding_feat_fuse of the published code.
_base_ = 'nae-plus-release_r50_prw.py'

model = dict(
    roi_head=dict(reid_head=dict(projection=dict(in_channels=[1024, 2048])))
)

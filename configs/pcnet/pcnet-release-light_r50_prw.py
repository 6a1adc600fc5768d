# The release's "fast" configuration on PRW: one shared 64-channel tower, no
# averaging over neighbours in the gallery, input 1333 x 800.
_base_ = 'pcnet-release_r50_prw.py'

model = dict(
    bbox_head=dict(feat_channels=64, shared_tower=True),
    test_cfg=dict(average_iou_thr=None),
)

test_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmps.ClipQueryBoxes', last_pixel=True),
    dict(type='mmps.ShortEdgeResize', scale=(1333, 800)),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(type='mmps.PackPersonSearchInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

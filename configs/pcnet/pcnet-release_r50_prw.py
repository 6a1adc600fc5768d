# What the code released with the paper does on PRW, "standard": no distance
# loss, cosine triplet among the embeddings, batch norm before L2, f' averaged
# over neighbours at test, input 1500 x 900. See README.md for the list.
_base_ = 'pcnet_r50_prw.py'

model = dict(
    data_preprocessor=dict(mean=[102.9801, 115.9465, 122.7717]),
    # Statistics of batch norm stay, its weights and biases learn.
    backbone=dict(norm_cfg=dict(requires_grad=True)),
    bbox_head=dict(
        anchor_generator=dict(type='mmps.DetectronAnchorGenerator'),
        inclusive_boxes=True,
        bbox_coder=dict(target_stds=[0.1, 0.1, 0.2, 0.2]),
        stacked_convs=1,
        aggregation=dict(level_scale=True, logit_clamp=50.0),
        reid_norm_cfg=dict(type='BN1d'),
        loss_reid=dict(mean_over='labelled'),
        # The release divides by four times the number of positives.
        loss_bbox=dict(loss_weight=0.25),
        loss_dist=None,
        loss_tri=dict(
            metric='cosine',
            negatives='f',
            unlabelled='shared',
            margin=0.5,
            loss_weight=2.0,
        ),
    ),
    test_cfg=dict(
        average_iou_thr=0.6, average_skip=31, query_average_iou_thr=0.5
    ),
)

train_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(
        type='RandomChoiceResize',
        resize_type='mmps.ShortEdgeResize',
        scales=[(1500, side) for side in (500, 600, 700, 800, 900)],
    ),
    dict(type='mmdet.RandomFlip', prob=0.5),
    dict(type='mmps.FilterPersonAnnotations', min_size=(1, 1)),
    dict(type='mmps.PackPersonSearchInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

test_pipeline = [
    dict(type='mmps.LoadFrame'),
    dict(type='mmps.ClipQueryBoxes', last_pixel=True),
    dict(type='mmps.ShortEdgeResize', scale=(1500, 900)),
    dict(type='mmps.LoadPersonAnnotations'),
    dict(type='mmps.PackPersonSearchInputs'),
]
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader

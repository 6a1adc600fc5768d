# SeqNeXt on ResNet-50: SeqNet whose second head has a classifier of its own in
# place of the embedding's length, and longer embeddings. Batch norms of the
# backbone and layer4 are frozen.
_base_ = 'seqnet_r50_c4.py'

_frozen = dict(
    frozen_stages=1,
    norm_cfg=dict(type='BN', requires_grad=False),
    norm_eval=True,
)

model = dict(
    backbone=_frozen,
    roi_head=dict(
        shared_head=dict(backbone=_frozen),
        # 1024 values of each map.
        reid_head=dict(
            projection=dict(embed_dims=2048),
            # Rows that hold nobody yet have no part, as published.
            memory=dict(unfilled='mask'),
            loss_reid=dict(mean_over='people'),
        ),
    ),
    test_cfg=dict(rcnn=dict(score_from='last')),
)
model['roi_head']['bbox_head'] = [
    _base_.model.roi_head.bbox_head[0],
    dict(
        _base_.model.roi_head.bbox_head[1],
        reg_norm=False,
        classifier=dict(type='mmps.LinearClassifier', one_logit=True),
    ),
]
del _frozen

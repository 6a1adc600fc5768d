# NAE: the embedding's length is the person's score.
_base_ = 'oim_r50_c4.py'

model = dict(
    roi_head=dict(
        bbox_head=dict(
            classifier=dict(type='mmps.NormClassifier'),
            loss_bbox=dict(loss_weight=10.0),
        ),
    ),
    # The embedding of a detection is multiplied by its score.
    test_cfg=dict(rcnn=dict(confidence_weighted=True)),
)

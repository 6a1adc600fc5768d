"""OIMNet++, and OIMNet+++, whose weights have the same keys."""

from .changes import person_first
from .family import Family
from .rules import Rule
from .torchvision_c4 import (
    BACKBONE,
    MEMORY,
    RPN,
    TABLE,
    deltas,
    projection,
)

_RULES = (
    *BACKBONE,
    *RPN,
    Rule('roi_heads.reid_head.layer4.', 'roi_head.shared_heads.0.layers.'),
    Rule(
        'roi_heads.box_predictor.bbox_cls.',
        'roi_head.bbox_head.0.classifier.fc.',
        person_first,
    ),
    deltas('box_predictor', 0),
    *projection('feat_res5'),
    MEMORY,
    # A first stage that its code builds and never calls.
    Rule('roi_heads.box_head.', None, optional=True),
    Rule('roi_heads.faster_rcnn_predictor.', None),
)

OIMNETPP = Family(
    name='oimnetpp',
    title='OIMNet++',
    rules=_RULES,
    table=TABLE,
    configs={
        'prw': 'oimnetpp-release_r50_prw',
        'cuhk-sysu': 'oimnetpp-release_r50_cuhk-sysu',
    },
)

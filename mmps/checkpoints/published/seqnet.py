"""SeqNet."""

from .changes import person_first
from .family import Family
from .rules import Rule
from .torchvision_c4 import (
    BACKBONE,
    FIRST_LAYER4,
    MEMORY,
    RPN,
    TABLE,
    deltas,
    projection,
    rescaler,
)

_RULES = (
    *BACKBONE,
    *RPN,
    FIRST_LAYER4,
    Rule('roi_heads.reid_head.layer4.', 'roi_head.shared_heads.1.layers.'),
    Rule(
        'roi_heads.faster_rcnn_predictor.cls_score.',
        'roi_head.bbox_head.0.classifier.fc.',
        person_first,
    ),
    deltas('faster_rcnn_predictor', 0),
    deltas('box_predictor', 1),
    rescaler('roi_head.bbox_head.1.classifier.norm.'),
    *projection('feat_res4', 'feat_res5'),
    MEMORY,
)

SEQNET = Family(
    name='seqnet',
    title='SeqNet',
    rules=_RULES,
    table=TABLE,
    configs={
        'prw': 'seqnet-release_r50_prw',
        'cuhk-sysu': 'seqnet-release_r50_cuhk-sysu',
    },
)

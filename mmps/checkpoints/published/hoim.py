"""HOIM, and IIDFC on it."""

from .family import Family
from .rules import Rule
from .torchvision_c4 import (
    FIRST_LAYER4,
    MEMORY,
    ONE_STAGE,
    RPN,
    TABLE,
    UNUSED_CLASSIFIER,
    deltas,
    projection,
)

_PROJECTION = projection('feat_res4', 'feat_res5')

HOIM = Family(
    name='hoim',
    title='HOIM',
    rules=(*ONE_STAGE, *_PROJECTION),
    table=TABLE,
    configs={
        'prw': 'hoim-release_r50_prw',
        'cuhk-sysu': 'hoim-release_r50_cuhk-sysu',
    },
)

IIDFC = Family(
    name='iidfc',
    title='IIDFC',
    rules=(
        Rule('backbone.part1.', 'backbone.'),  # to layer1
        Rule('backbone.part2.', 'backbone.'),
        *RPN,
        FIRST_LAYER4,
        deltas('box_predictor', 0),
        UNUSED_CLASSIFIER,
        MEMORY,
        *_PROJECTION,
    ),
    table=TABLE,
    configs={
        'prw': 'iidfc-release_res2net50_prw',
        'cuhk-sysu': 'iidfc-release_res2net50_cuhk-sysu',
    },
)

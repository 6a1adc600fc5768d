"""HOIM, and IIDFC on it."""

from .family import Family
from .rules import Rule
from .torchvision_c4 import (
    FIRST_LAYER4,
    MEMORY,
    ONE_STAGE,
    RPN,
    UNUSED_CLASSIFIER,
    deltas,
    projection,
)

_TABLE = 'roi_heads.reid_loss.lut'
_PROJECTION = projection('feat_res4', 'feat_res5')

HOIM = Family(
    name='hoim',
    title='HOIM',
    repository='DeanChan/HOIM-PyTorch',
    rules=(*ONE_STAGE, *_PROJECTION),
    table=_TABLE,
    configs={
        'prw': 'hoim-release_r50_prw',
        'cuhk-sysu': 'hoim-release_r50_cuhk-sysu',
    },
)

IIDFC = Family(
    name='iidfc',
    title='IIDFC',
    repository='Vill-Lab/2021-TCSVT-IIDFC',
    rules=(
        Rule('backbone.part1.', 'backbone.'),
        Rule('backbone.part2.', 'backbone.'),
        *RPN,
        FIRST_LAYER4,
        deltas('box_predictor', 0),
        UNUSED_CLASSIFIER,
        MEMORY,
        *_PROJECTION,
    ),
    table=_TABLE,
    configs={
        'prw': 'iidfc-release_res2net50_prw',
        'cuhk-sysu': 'iidfc-release_res2net50_cuhk-sysu',
    },
)

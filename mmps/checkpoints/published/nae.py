"""NAE and its pixel-wise version NAE+."""

from collections.abc import Mapping

from torch import Tensor

from .family import Family
from .rules import Rule
from .torchvision_c4 import ONE_STAGE, TABLE, projection, rescaler

_PLUS = (*ONE_STAGE, rescaler('roi_head.reid_head.pooling.norm.'))


def _is_pixelwise(state: Mapping[str, Tensor]) -> bool:
    """Whether maps are projected by convolutions, not vectors."""
    key = 'roi_heads.embedding_head.projectors.feat_res5.0.weight'
    return state[key].dim() == 4


def _family(name: str, title: str, rules: tuple[Rule, ...]) -> Family:
    return Family(
        name=name,
        title=title,
        rules=rules,
        table=TABLE,
        configs={
            'prw': f'{name}-release_r50_prw',
            'cuhk-sysu': f'{name}-release_r50_cuhk-sysu',
        },
        is_version=lambda state: _is_pixelwise(state) == ('+' in title),
    )


NAE = _family(
    'nae',
    'NAE',
    (
        *ONE_STAGE,
        rescaler('roi_head.bbox_head.0.classifier.norm.'),
        *projection('feat_res4', 'feat_res5'),
    ),
)
NAE_PLUS = _family('nae-plus', 'NAE+', (*_PLUS, *projection('feat_res5')))
# --embedding_feat_fuse
NAE_PLUS_FUSED = _family(
    'nae-plus-fused',
    'NAE+ of both maps',
    (*_PLUS, *projection('feat_res4', 'feat_res5')),
)

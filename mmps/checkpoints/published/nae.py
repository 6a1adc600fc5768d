"""NAE and its pixel-wise version NAE+."""

from collections.abc import Mapping

from torch import Tensor

from .family import Family
from .torchvision_c4 import ONE_STAGE, projection, rescaler

_REPOSITORY = 'DeanChan/NAE4PS'
_TABLE = 'roi_heads.reid_loss.lut'


def _is_vectorwise(state: Mapping[str, Tensor]) -> bool:
    """NAE+ on both maps projects by convolutions; there is no config of it."""
    key = 'roi_heads.embedding_head.projectors.feat_res4.0.weight'
    return state[key].dim() == 2


NAE = Family(
    name='nae',
    title='NAE',
    repository=_REPOSITORY,
    rules=(
        *ONE_STAGE,
        rescaler('roi_head.bbox_head.0.classifier.norm.'),
        *projection('feat_res4', 'feat_res5'),
    ),
    table=_TABLE,
    configs={
        'prw': 'nae-release_r50_prw',
        'cuhk-sysu': 'nae-release_r50_cuhk-sysu',
    },
    is_version=_is_vectorwise,
)

NAE_PLUS = Family(
    name='nae-plus',
    title='NAE+',
    repository=_REPOSITORY,
    rules=(
        *ONE_STAGE,
        rescaler('roi_head.reid_head.pooling.norm.'),
        *projection('feat_res5'),
    ),
    table=_TABLE,
    configs={
        'prw': 'nae-plus-release_r50_prw',
        'cuhk-sysu': 'nae-plus-release_r50_cuhk-sysu',
    },
)

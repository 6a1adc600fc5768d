"""AlignPS, and AlignPS+ with deformable convolutions in its backbone."""

from collections.abc import Mapping

from torch import Tensor

from .changes import lookup_table, queue_and_tail
from .family import Family
from .rules import Rule

_HEAD = 'bbox_head'
_LABELLED = f'{_HEAD}.labeled_matching_layer.'
TABLE = f'{_LABELLED}lookup_table'
RULES = (
    # mmdet has kept the names of its parts.
    *(
        Rule(prefix, prefix)
        for prefix in (
            'backbone.',
            'neck.lateral_convs.',
            'neck.fpn_convs.',
            f'{_HEAD}.cls_convs.',
            f'{_HEAD}.reg_convs.',
            f'{_HEAD}.conv_cls.',
            f'{_HEAD}.conv_reg.',
            f'{_HEAD}.conv_centerness.',
            f'{_HEAD}.scales.',
        )
    ),
    Rule(_LABELLED, f'{_HEAD}.memory.', lookup_table),
    Rule(
        f'{_HEAD}.unlabeled_matching_layer.',
        f'{_HEAD}.memory.',
        queue_and_tail,
    ),
)


def _is_deformable(state: Mapping[str, Tensor]) -> bool:
    return 'backbone.layer4.0.conv2.conv_offset.weight' in state


def _family(name: str, title: str, deformable: bool) -> Family:
    return Family(
        name=name,
        title=title,
        rules=RULES,
        table=TABLE,
        configs={
            'prw': f'{name}-release_r50_prw',
            'cuhk-sysu': f'{name}-release_r50_cuhk-sysu',
        },
        is_version=lambda state: _is_deformable(state) == deformable,
    )


ALIGNPS = _family('alignps', 'AlignPS', deformable=False)
ALIGNPS_PLUS = _family('alignps-plus', 'AlignPS+', deformable=True)

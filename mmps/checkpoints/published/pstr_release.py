"""PSTR on ResNet-50, on ResNet-50 with deformable convolutions, on PVTv2."""

from collections.abc import Mapping

from torch import Tensor

from .changes import lookup_table, queue_and_tail
from .family import Family
from .rules import Rule, Weights

_HEAD = 'bbox_head'
_TRANSFORMER = f'{_HEAD}.transformer'
_LAYERS = range(3)
_MAPS = range(3)


def _first_level(group: Weights) -> Weights:
    """Of the levels that the code has parameters for it uses one."""
    return {rest: value[:1] for rest, value in group.items()}


def _coder(name: str, attentions: tuple[str, ...]) -> tuple[Rule, ...]:
    """Layers of the encoder or decoder, with mmdet's names of today."""
    parts = {f'attentions.{i}.': f'{to}.' for i, to in enumerate(attentions)}
    parts.update({'ffns.0.': 'ffn.', 'norms.': 'norms.'})
    return tuple(
        Rule(
            f'{_TRANSFORMER}.{name}.layers.{i}.{theirs}',
            f'{name}.layers.{i}.{ours}',
        )
        for i in _LAYERS
        for theirs, ours in parts.items()
    )


_RULES = (
    *(
        Rule(prefix, prefix)
        for prefix in (
            'backbone.',
            'neck.lateral_convs.',
            'neck.convs.',
            f'{_HEAD}.cls_branches.',
            f'{_HEAD}.reg_branches.',
        )
    ),
    Rule(f'{_HEAD}.query_embedding.', 'query_embedding.'),
    Rule(f'{_TRANSFORMER}.reference_points.', 'reference_points_fc.'),
    Rule(f'{_TRANSFORMER}.level_embeds', 'level_embed', _first_level),
    *_coder('encoder', ('self_attn',)),
    *_coder('decoder', ('self_attn', 'cross_attn')),
    *(
        Rule(
            f'{_TRANSFORMER}.decoder1.layers.0.attentions.{i}.',
            f'{_HEAD}.part_attentions.{i}.',
        )
        for i in range(2)
    ),
    *(
        Rule(
            f'{_HEAD}.{theirs}_matching_layers.{i}.',
            f'{_HEAD}.memories.{i}.',
            change,
        )
        for i in _MAPS
        for theirs, change in (
            ('labeled', lookup_table),
            ('unlabeled', queue_and_tail),
        )
    ),
)


def _is_deformable(state: Mapping[str, Tensor]) -> bool:
    return 'backbone.layer4.0.conv2.conv_offset.weight' in state


def _is_pvt(state: Mapping[str, Tensor]) -> bool:
    return not any(key.startswith('backbone.conv1.') for key in state)


def _family(name: str, title: str, network: str, is_version) -> Family:
    return Family(
        name=name,
        title=title,
        rules=_RULES,
        table=f'{_HEAD}.labeled_matching_layers.0.lookup_table',
        configs={
            data: f'pstr_{network}_{data}' for data in ('prw', 'cuhk-sysu')
        },
        is_version=is_version,
    )


PSTR = _family(
    'pstr',
    'PSTR',
    'r50',
    lambda state: not _is_deformable(state) and not _is_pvt(state),
)
PSTR_DCN = _family(
    'pstr-dcn', 'PSTR with deformable convolutions', 'r50-dcn', _is_deformable
)
PSTR_PVT = _family('pstr-pvtv2', 'PSTR on PVTv2-B2', 'pvtv2-b2', _is_pvt)

"""PCNet's release in its three versions."""

from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

from torch import Tensor

from .changes import as_numbers, identity_memory, stacked, without_eps
from .family import ROWS, Family
from .rules import Rule

_HEAD = 'bbox_head'
_POINTS = f'{_HEAD}.point_pooling'
_CSA = 'rpn.reid_feat_func_pooling'
_TABLE = 'rpn.reid_loss_func.lut'
# At most; convolutions and ReLU are numbered in turn.
_TOWER_CONVS = range(4)

_RULES = (
    Rule('backbone.body.stem.conv1.', 'backbone.conv1.'),
    Rule('backbone.body.stem.bn1.', 'backbone.bn1.', without_eps(1e-5)),
    Rule('backbone.body.layer', 'backbone.layer'),
    *(
        Rule(f'backbone.fpn.{source}.', f'neck.{target}.conv.')
        for source, target in (
            ('fpn_inner2', 'lateral_convs.0'),
            ('fpn_inner3', 'lateral_convs.1'),
            ('fpn_inner4', 'lateral_convs.2'),
            ('fpn_layer2', 'fpn_convs.0'),
            ('fpn_layer3', 'fpn_convs.1'),
            ('fpn_layer4', 'fpn_convs.2'),
            ('top_blocks.p6', 'fpn_convs.3'),
            ('top_blocks.p7', 'fpn_convs.4'),
        )
    ),
    *(
        Rule(
            f'rpn.head.cls_tower.{2 * i}.',
            (f'{_HEAD}.cls_convs.{i}.conv.', f'{_HEAD}.reg_convs.{i}.conv.'),
            optional=i > 0,
        )
        for i in _TOWER_CONVS
    ),
    # Where the boxes have a tower of their own, in the place of the copies.
    *(
        Rule(
            f'rpn.head.bbox_tower.{2 * i}.',
            f'{_HEAD}.reg_convs.{i}.conv.',
            optional=True,
        )
        for i in _TOWER_CONVS
    ),
    Rule('rpn.head.cls_logits.', f'{_HEAD}.retina_cls.'),
    Rule('rpn.head.bbox_pred.', f'{_HEAD}.retina_reg.'),
    Rule('rpn.head.offset_tower.', f'{_POINTS}.offset_tower.'),
    Rule('rpn.head.offset_coord.', f'{_POINTS}.offset_pred.'),
    Rule('rpn.head.scales.', f'{_POINTS}.offset_scales.', as_numbers),
    *(
        Rule(
            f'rpn.reid_feat_func.dfconv2d.0.{level}.conv.',
            f'{_POINTS}.point_convs.{level}.',
        )
        for level in range(5)
    ),
    Rule(f'{_CSA}.query_fc.0.', f'{_HEAD}.aggregation.psi.'),
    Rule(f'{_CSA}.key_fc.0.', f'{_HEAD}.aggregation.phi.'),
    Rule(
        f'{_CSA}.scale',
        f'{_HEAD}.aggregation.',
        stacked('34567', 'level_scale'),
    ),
    Rule('rpn.reid_bn.', f'{_HEAD}.reid_norm.'),
    Rule('rpn.reid_bn_side.', f'{_HEAD}.own_norm.'),
    Rule('rpn.reid_loss_func.', f'{_HEAD}.memory.', identity_memory),
    # Constants, and what testing registers a second time.
    Rule('rpn.anchor_generator.cell_anchors.', None, optional=True),
    Rule('rpn.box_selector_test.', None, optional=True),
)


class _Shape(NamedTuple):
    """What tells versions with the same keys apart."""

    anchors: int
    convs: int
    channels: int
    shared: bool


_STANDARD = {
    'prw': _Shape(anchors=1, convs=1, channels=256, shared=False),
    'cuhk-sysu': _Shape(anchors=1, convs=4, channels=64, shared=True),
}
# On CUHK-SYSU standard and fast differ in testing alone.
_LIGHT = {
    'prw': _Shape(anchors=1, convs=1, channels=64, shared=True),
    'cuhk-sysu': _STANDARD['cuhk-sysu'],
}
_MULTI = {
    'prw': _Shape(anchors=4, convs=4, channels=256, shared=True),
    'cuhk-sysu': _Shape(anchors=4, convs=1, channels=64, shared=True),
}


def _is_version(
    shapes: Mapping[str, _Shape], state: Mapping[str, Tensor]
) -> bool:
    """By the data set of the table's rows, any where they are unknown."""
    tower = 'rpn.head.cls_tower.{}.weight'
    shape = _Shape(
        anchors=len(state['rpn.head.offset_coord.weight']) // 18,
        convs=sum(tower.format(2 * i) in state for i in _TOWER_CONVS),
        channels=len(state[tower.format(0)]),
        shared='rpn.head.bbox_tower.0.weight' not in state,
    )
    rows = len(state[_TABLE])
    named = [shapes[name] for name in shapes if rows in ROWS[name]]
    return shape in (named or shapes.values())


def _family(suffix: str, title: str, shapes: Mapping[str, _Shape]) -> Family:
    return Family(
        name=f'pcnet{suffix}',
        title=title,
        rules=_RULES,
        table=_TABLE,
        configs={name: f'pcnet-release{suffix}_r50_{name}' for name in shapes},
        is_version=partial(_is_version, shapes),
    )


PCNET = _family('', 'PCNet', _STANDARD)
PCNET_LIGHT = _family('-light', "PCNet's fast version", _LIGHT)
PCNET_MULTI = _family('-multi', 'PCNet with several anchors', _MULTI)

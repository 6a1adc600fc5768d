"""Parts of a RoI head per stage, and which of them go together."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from ..layers.proto_norm import has_proto_norm
from ..memories import CircularQueue

# The first is the default.
TEST_CHOICES = dict(
    score_from=('last', 'first', 'mean'),
    embedding=('concat', 'mean', 'deep', 'shallow'),
)


def per_stage(name: str, value: Any, num_stages: int) -> list:
    """One value per stage; a single one is used for all of them.

    Args:
        name: Of the option, for the message.
        value: A dict or number, or a sequence of them.
        num_stages: How many are needed.

    Raises:
        ValueError: The sequence has another length.
    """
    if isinstance(value, dict) or not isinstance(value, Sequence):
        return [value] * num_stages
    if len(value) != num_stages:
        raise ValueError(
            f'SearchRoIHead: {name} has {len(value)} entries for '
            f'{num_stages} stages (the number of bbox heads)'
        )
    return list(value)


def check_stages(head: nn.Module) -> None:
    """Refuse parts that do not go together.

    Args:
        head: A SearchRoIHead with all parts built.

    Raises:
        ValueError: Names two parts and the reason.
    """
    _check_test_cfg(head.test_cfg or {})
    reid = head.reid_head
    maps = 2 if head.shared_heads else 1
    if reid.num_levels > maps:
        raise ValueError(
            f'SearchRoIHead: the projection of reid_head reads '
            f'{reid.num_levels} levels, but without shared_head a RoI has one '
            'map; give LinearProjection one level (in_channels) or add a '
            'shared_head'
        )
    for stage, box_head in enumerate(head.bbox_head):
        if box_head.num_classes != 1:
            raise ValueError(
                f'SearchRoIHead: bbox_head {type(box_head).__name__} has '
                f'num_classes={box_head.num_classes}; person search has one'
            )
        classifier = getattr(box_head, 'classifier', None)
        if classifier is None:
            continue
        name = type(classifier).__name__
        if classifier.needs_reid and stage < head.num_stages - 1:
            raise ValueError(
                f'SearchRoIHead: {name} in bbox_head {stage} reads '
                'embeddings, but only the last stage has the re-id head; use '
                'LinearClassifier there'
            )
        if (
            getattr(classifier, 'needs_background', False)
            and not reid.memory.background_size
        ):
            raise ValueError(
                f'SearchRoIHead: {name} compares people with background, but '
                'the memory of reid_head has no background queue; set '
                'background_size'
            )
        pixelwise = getattr(classifier, 'pixelwise', False)
        pooling = type(reid.pooling).__name__
        if pixelwise and pooling != 'NormAttention':
            raise ValueError(
                f'SearchRoIHead: {name} reads the norm at every position, '
                f'which pooling {pooling} does not keep; use NormAttention'
            )
    if head.shallow is not None:
        if not (head.test_cfg or {}).get('unit_queries', True):
            raise ValueError(
                'SearchRoIHead: test_cfg.unit_queries=False does not go with '
                'shallow, whose embedding is combined with a unit vector'
            )
        _check_shallow(head)
    if head.gallery_filter is not None:
        _check_filter(head)


def _check_filter(head: nn.Module) -> None:
    if head.shallow is not None:
        raise ValueError(
            'SearchRoIHead: gallery_filter gates scenes by the embedding of '
            'reid_head, but with shallow people are searched by another one; '
            'use one of both'
        )
    if has_proto_norm([head.gallery_filter]):
        raise ValueError(
            'SearchRoIHead: ProtoNorm counts people, but gallery_filter '
            'projects scenes; give it a shared_head and projection with '
            'batch norm'
        )


def _check_test_cfg(cfg: dict) -> None:
    for name, choices in TEST_CHOICES.items():
        if cfg.get(name, choices[0]) not in choices:
            raise ValueError(
                f'SearchRoIHead: test_cfg.{name} must be one of {choices}, '
                f'got {cfg[name]!r}'
            )


def _check_shallow(head: nn.Module) -> None:
    if head.shallow.loss_distill is None:
        return
    memories = [head.reid_head.memory, head.shallow.reid_head.memory]
    for memory in memories:
        rule = type(memory.queue_rule)
        if memory.queue_size and rule is not CircularQueue:
            raise ValueError(
                f'SearchRoIHead: loss_distill compares queues row by row, but '
                f'{rule.__name__} fills the deep and the shallow one with '
                'different people; use CircularQueue in both memories'
            )
    if memories[0].queue_size != memories[1].queue_size:
        raise ValueError(
            'SearchRoIHead: loss_distill compares queues row by row, but the '
            f'deep memory has queue_size={memories[0].queue_size} and the '
            f'shallow one {memories[1].queue_size}'
        )

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
    reid_from=('concat', 'mean', 'first', 'last'),
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


def check_num_reid_stages(num_reid_stages: int, num_stages: int) -> None:
    """Refuse a number of re-id heads that the stages cannot have.

    Args:
        num_reid_stages: The option.
        num_stages: How many stages there are.

    Raises:
        ValueError: It is not between 1 and the number of stages.
    """
    if not 1 <= num_reid_stages <= num_stages:
        raise ValueError(
            'SearchRoIHead: num_reid_stages must be between 1 and the number '
            f'of bbox heads, {num_stages}, got {num_reid_stages}'
        )


def pruning_behind(test_cfg: dict, stage: int, num_stages: int) -> dict | None:
    """How boxes are pruned between a stage and the next.

    Args:
        test_cfg: Its ``before_last`` is of the last stage but one, or a list
            with one for every stage but the last.
        stage: Index of the stage; not the last.
        num_stages: How many there are.

    Returns:
        ``score_thr``, ``nms`` and ``max_per_img``; None to let all pass.
    """
    prune = test_cfg.get('before_last')
    if isinstance(prune, Sequence):
        return prune[stage]
    return prune if stage == num_stages - 2 else None


def check_stages(head: nn.Module) -> None:
    """Refuse parts that do not go together.

    Args:
        head: A SearchRoIHead with all parts built.

    Raises:
        ValueError: Names two parts and the reason.
    """
    _check_test_cfg(head.test_cfg or {}, head.num_stages)
    if head.num_reid_stages > 1 and not (head.test_cfg or {}).get(
        'unit_queries', True
    ):
        raise ValueError(
            'SearchRoIHead: test_cfg.unit_queries=False does not go with '
            f'num_reid_stages={head.num_reid_stages}, whose unit embeddings '
            'are combined'
        )
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
        if classifier.needs_reid and head.reid_head_of(stage) is None:
            raise ValueError(
                f'SearchRoIHead: {name} in bbox_head {stage} reads '
                'embeddings, but this stage has no re-id head; use '
                'LinearClassifier there, or num_reid_stages='
                f'{head.num_stages - stage}'
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
    if head.num_reid_stages > 1:
        raise ValueError(
            'SearchRoIHead: gallery_filter gates scenes by the embedding of '
            'one stage, but people are searched by those of num_reid_stages='
            f'{head.num_reid_stages}; use one of both'
        )
    if has_proto_norm([head.gallery_filter]):
        raise ValueError(
            'SearchRoIHead: ProtoNorm counts people, but gallery_filter '
            'projects scenes; give it a shared_head and projection with '
            'batch norm'
        )


def _check_test_cfg(cfg: dict, num_stages: int) -> None:
    prune = cfg.get('before_last')
    if isinstance(prune, Sequence) and len(prune) != num_stages - 1:
        raise ValueError(
            f'SearchRoIHead: test_cfg.before_last has {len(prune)} entries '
            f'for {num_stages} stages; expected one for every stage but the '
            'last'
        )
    for name, choices in TEST_CHOICES.items():
        if cfg.get(name, choices[0]) not in choices:
            raise ValueError(
                f'SearchRoIHead: test_cfg.{name} must be one of {choices}, '
                f'got {cfg[name]!r}'
            )


def _check_shallow(head: nn.Module) -> None:
    cfg = head.test_cfg or {}
    dims = head.shallow.reid_head.embed_dims
    deep = head.reid_head.embed_dims
    if cfg.get('reid_from', 'concat') == 'concat':
        deep *= head.num_reid_stages
    if cfg.get('embedding') == 'mean' and deep != dims:
        raise ValueError(
            "SearchRoIHead: test_cfg.embedding='mean' needs embeddings of one "
            f'size, but the deep one has {deep} values and the shallow one '
            f"{dims}; use 'concat', or test_cfg.reid_from='mean'"
        )
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

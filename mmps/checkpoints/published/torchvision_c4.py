"""Rules that the methods on torchvision's Faster R-CNN C4 share."""

from .changes import identity_memory, person_deltas, projection_level
from .rules import Rule

BACKBONE = tuple(
    Rule(f'backbone.{part}.', f'backbone.{part}.')
    for part in ('conv1', 'bn1', 'layer1', 'layer2', 'layer3')
)

RPN = (
    # The second from torchvision 0.13 on.
    Rule('rpn.head.conv.', 'rpn_head.rpn_conv.', optional=True),
    Rule('rpn.head.conv.0.0.', 'rpn_head.rpn_conv.', optional=True),
    Rule('rpn.head.cls_logits.', 'rpn_head.rpn_cls.'),
    Rule('rpn.head.bbox_pred.', 'rpn_head.rpn_reg.'),
)

TABLE = 'roi_heads.reid_loss.lut'

FIRST_LAYER4 = Rule(
    'roi_heads.box_head.layer4.', 'roi_head.shared_heads.0.layers.'
)
_REID_HEAD = 'roi_head.reid_head.'
# Of Faster R-CNN; these methods tell people from background otherwise.
UNUSED_CLASSIFIER = Rule('roi_heads.box_predictor.cls_score.', None)


def memory(source: str = 'reid_loss', target: str = _REID_HEAD) -> Rule:
    """Of the tables of a re-id head."""
    return Rule(f'roi_heads.{source}.', f'{target}memory.', identity_memory)


MEMORY = memory()


def deltas(source: str, stage: int) -> Rule:
    """Of the box regression at ``source``."""
    target = f'roi_head.bbox_head.{stage}.'
    return Rule(f'roi_heads.{source}.bbox_pred.', target, person_deltas)


def projection(
    *sources: str, head: str = 'embedding_head', target: str = _REID_HEAD
) -> tuple[Rule, ...]:
    """Of the projectors of the maps that the embedding is made from."""
    return tuple(
        Rule(
            f'roi_heads.{head}.projectors.{source}.',
            f'{target}projection.',
            projection_level(level),
        )
        for level, source in enumerate(sources)
    )


def rescaler(target: str, head: str = 'embedding_head') -> Rule:
    """Of the batch norm that makes a score of the embedding's length."""
    return Rule(f'roi_heads.{head}.rescaler.', target)


ONE_STAGE = (
    *BACKBONE,
    *RPN,
    FIRST_LAYER4,
    deltas('box_predictor', 0),
    UNUSED_CLASSIFIER,
    MEMORY,
)

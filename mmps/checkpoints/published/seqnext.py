"""SeqNeXt with a gallery filter, on ConvNeXt-B and on ResNet-50."""

from .changes import person_first, projection_level
from .family import Family
from .rules import Rule
from .torchvision_c4 import MEMORY, RPN, TABLE, deltas, projection

_HEADS = {
    'roi_heads.prop_head': 'shared_heads.0',
    'roi_heads.reid_head': 'shared_heads.1',
    'gfn.head.image_reid_head': 'gallery_filter.shared_head',
}


def _rules(backbone: dict[str, str], stage: dict[str, str]) -> tuple:
    """Of one backbone.

    Args:
        backbone: Prefixes of its parts, and ours.
        stage: Those of its last stage.
    """
    return (
        *(
            Rule(f'backbone.body.{theirs}', f'backbone.{ours}')
            for theirs, ours in backbone.items()
        ),
        *RPN,
        *(
            Rule(f'{head}.head.{theirs}', f'roi_head.{target}.layers.{ours}')
            for head, target in _HEADS.items()
            for theirs, ours in stage.items()
        ),
        Rule(
            'roi_heads.faster_rcnn_predictor.cls_score.',
            'roi_head.bbox_head.0.classifier.fc.',
            person_first,
        ),
        deltas('faster_rcnn_predictor', 0),
        Rule(
            'roi_heads.score_predictor.cls_score.',
            'roi_head.bbox_head.1.classifier.fc.',
        ),
        deltas('score_predictor', 1),
        *projection('feat_res4', 'feat_res5'),
        MEMORY,
        *(
            Rule(
                f'gfn.head.image_emb_head.projectors.{source}.',
                'roi_head.gallery_filter.projection.',
                projection_level(level),
            )
            for level, source in enumerate(('feat_res4', 'feat_res5'))
        ),
        Rule('gfn.fuser.norm.norm.', 'roi_head.gallery_filter.norm.'),
        # The second head and the filter under other names.
        Rule('roi_heads.box_head.', None),
        Rule('roi_heads.gfn.', None),
        Rule('gfn.', None),
    )


_CONVNEXT = {f'{i}.': f'features.{i}.' for i in range(6)}
_RESNET = {
    f'{part}.': f'{part}.'
    for part in ('conv1', 'bn1', 'layer1', 'layer2', 'layer3')
}

SEQNEXT, SEQNEXT_R50 = (
    Family(
        name=name,
        title=title,
        rules=rules,
        table=TABLE,
        configs={
            data: f'seqnext-release_{network}_{data}'
            for data in ('prw', 'cuhk-sysu')
        },
    )
    for name, title, network, rules in (
        (
            *('seqnext', 'SeqNeXt', 'convnext-b'),
            _rules(_CONVNEXT, {'0.': '6.', '1.': '7.'}),
        ),
        (
            *('seqnext-r50', 'SeqNeXt with ResNet-50', 'r50'),
            _rules(_RESNET, {'': ''}),
        ),
    )
)

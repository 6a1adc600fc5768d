"""ROI-AlignPS, AlignPS with a NAE head beside it."""

from .alignps import RULES, TABLE
from .changes import identity_memory, person_deltas, projection_level
from .family import Family
from .rules import Rule

_PUBLISHED = 'roi_head.bbox_head.'
_EMBEDDING = f'{_PUBLISHED}embedding_head.'
_REID_HEAD = 'roi_head.reid_head.'
_ROI_RULES = (
    Rule('rpn_head.', 'rpn_head.'),
    Rule('roi_head.shared_head.layer4.', 'roi_head.shared_heads.0.layers.'),
    *(
        Rule(
            f'{_EMBEDDING}projectors.{level}.',
            f'{_REID_HEAD}projection.',
            projection_level(level),
        )
        for level in range(2)
    ),
    Rule(f'{_EMBEDDING}rescaler.', 'roi_head.bbox_head.0.classifier.norm.'),
    Rule(f'{_PUBLISHED}fc_reg.', 'roi_head.bbox_head.0.', person_deltas),
    Rule(f'{_PUBLISHED}loss_oim.', f'{_REID_HEAD}memory.', identity_memory),
    Rule('mi_estimator.T_func.', 'loss_mutual.pair_score.'),
    # Built, and never called.
    Rule(f'{_PUBLISHED}fc_cls.', None),
    Rule('loss_oim.', None),
    Rule('labeled_matching_layer.', None),
    Rule('unlabeled_matching_layer.', None),
)

ROI_ALIGNPS = Family(
    name='roi-alignps',
    title='ROI-AlignPS',
    rules=(*RULES, *_ROI_RULES),
    table=TABLE,
    configs={
        'prw': 'roi-alignps-release_r50_prw',
        'cuhk-sysu': 'roi-alignps-release_r50_cuhk-sysu',
    },
)

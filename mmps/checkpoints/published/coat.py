"""COAT."""

from collections.abc import Callable

import torch

from .changes import person_first
from .family import Family
from .rules import Rule, Weights
from .torchvision_c4 import BACKBONE, RPN, deltas, memory, projection, rescaler

_STAGES = ('1st', '2nd', '3rd')
# Only the second and the third embed people.
_REID_HEADS = {
    '2nd': 'roi_head.earlier_reid_heads.0.',
    '3rd': 'roi_head.reid_head.',
}


def _attention(group: Weights) -> Weights:
    """Three linear layers of the input as one, and that of the output."""
    inputs = [f'{name}_embedding' for name in ('query', 'key', 'value')]
    return {
        f'{target}.{kind}': torch.cat([group[f'{x}.{kind}'] for x in sources])
        for target, sources in (('qkv', inputs), ('proj', ['output_linear']))
        for kind in ('weight', 'bias')
    }


def _windows(kernel_size: int) -> Callable[[Weights], Weights]:
    """A linear layer to all values of a window, as what windows sum to."""

    def change(group: Weights) -> Weights:
        window = (-1, kernel_size, kernel_size)
        return {
            'windows.weight': group['weight']
            .T.unflatten(1, window)
            .contiguous(),
            'window_bias': group['bias'].unflatten(0, window)[None],
        }

    return change


def _branch(source: str, target: str, kernel_size: int) -> tuple[Rule, ...]:
    block = f'{source}transblock.'
    return (
        Rule(f'{source}patch2vec.', f'{target}tokens.'),
        Rule(f'{source}vec2patch.embedding.', target, _windows(kernel_size)),
        Rule(f'{block}attention.', target, _attention),
        *(
            Rule(f'{block}{one}.', f'{target}{other}.')
            for one, other in (
                ('norm1', 'norm1'),
                ('norm2', 'norm2'),
                ('ffn.conv.0', 'ffn.0'),
                ('ffn.conv.3', 'ffn.2'),
            )
        ),
        # The same weights once more.
        Rule(f'{source}transformer.', None),
    )


def _transformer(stage: int, name: str) -> tuple[Rule, ...]:
    source = f'roi_heads.box_head_{name}.'
    target = f'roi_head.shared_heads.{stage}.'
    branches = f'{source}transformer_encoder.blocks.scale'
    return (
        # Of the first stage, built and never called.
        Rule(
            f'{source}conv0.',
            f'{target}before.' if name in _REID_HEADS else None,
        ),
        Rule(f'{source}conv1.', f'{target}reduce.'),
        Rule(f'{source}conv2.', f'{target}expand.'),
        *_branch(f'{branches}1.0.', f'{target}branches.0.', 1),
        *_branch(f'{branches}2.0.', f'{target}branches.1.', 3),
        Rule(f'{source}transformer_encoder.output_linear.', None),
    )


def _reid_head(stage: int, name: str) -> tuple[Rule, ...]:
    source, target = f'embedding_head_{name}', _REID_HEADS[name]
    return (
        *projection('before_trans', 'after_trans', head=source, target=target),
        rescaler(f'roi_head.bbox_head.{stage}.classifier.norm.', head=source),
        memory(f'reid_loss_{name}', target),
    )


_RULES = (
    *BACKBONE,
    *RPN,
    Rule(
        'roi_heads.box_predictor_1st.cls_score.',
        'roi_head.bbox_head.0.classifier.fc.',
        person_first,
    ),
    *(
        rule
        for stage, name in enumerate(_STAGES)
        for rule in (
            deltas(f'box_predictor_{name}', stage),
            *_transformer(stage, name),
            *(_reid_head(stage, name) if name in _REID_HEADS else ()),
        )
    ),
    # The first stage's and the second's once more.
    Rule('roi_heads.box_head.', None),
    Rule('roi_heads.box_predictor.', None),
)

COAT = Family(
    name='coat',
    title='COAT',
    rules=_RULES,
    table='roi_heads.reid_loss_3rd.lut',
    configs={
        'prw': 'coat-release_r50_prw',
        'cuhk-sysu': 'coat-release_r50_cuhk-sysu',
    },
)

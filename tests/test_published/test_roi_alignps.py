"""ROI-AlignPS' release: weights by the rules, and the answers of its code."""

from functools import lru_cache

import pytest
import torch
from one_stage_answers import OneStageAnswers, too_large

from mmps.apis import get_model
from mmps.checkpoints.published import convert, recognise
from mmps.checkpoints.reading import load_state

from published_weights import listed_weights

HEAD = 'bbox_head'
ROI_HEAD = 'roi_head.bbox_head'
TABLES = {
    f'{HEAD}.labeled_matching_layer.lookup_table': 483,
    f'{ROI_HEAD}.loss_oim.lut': 483,
    f'{HEAD}.unlabeled_matching_layer.queue': 500,
    f'{ROI_HEAD}.loss_oim.cq': 500,
}
CUHK_SYSU = dict(zip(TABLES, (5532, 5532, 5000, 5000)))
# Built by the published code, and never called.
UNUSED = {
    'loss_oim.lut',
    'loss_oim.cq',
    'labeled_matching_layer.lookup_table',
    'unlabeled_matching_layer.queue',
    'unlabeled_matching_layer.tail',
    f'{ROI_HEAD}.fc_cls.weight',
    f'{ROI_HEAD}.fc_cls.bias',
}


@pytest.mark.parametrize('dataset', ['prw', 'cuhk-sysu'])
def test_every_weight_has_its_place(dataset):
    rows = TABLES if dataset == 'prw' else CUHK_SYSU
    state = listed_weights('roi_alignps', rows=483)
    for key, number in rows.items():
        state[key] = torch.rand(number, 256)
    assert [one.name for one in recognise(state)] == ['roi-alignps']
    imported = convert(state)
    assert set(imported.left_out) == UNUSED
    assert imported.config == f'roi-alignps-release_r50_{dataset}'
    model = get_model(imported.config)
    load_state(model, dict(imported.state), 'roi_alignps')
    tables = list(rows)
    for i, head in enumerate((model.bbox_head, model.roi_head.reid_head)):
        assert torch.equal(head.memory.prototypes, state[tables[i]])
        assert torch.equal(head.memory.queue, state[tables[i + 2]])
    weights = dict(model.state_dict())
    for ours, theirs in (
        ('rpn_head.rpn_reg.bias', 'rpn_head.rpn_reg.bias'),
        (
            'roi_head.shared_heads.0.layers.2.conv3.weight',
            'roi_head.shared_head.layer4.2.conv3.weight',
        ),
        (
            'roi_head.bbox_head.0.classifier.norm.weight',
            f'{ROI_HEAD}.embedding_head.rescaler.weight',
        ),
        ('roi_head.bbox_head.0.reg_norm.bias', f'{ROI_HEAD}.fc_reg.1.bias'),
        ('loss_mutual.pair_score.2.weight', 'mi_estimator.T_func.2.weight'),
    ):
        assert torch.equal(weights[ours], state[theirs])


@lru_cache(maxsize=1)
def answers():
    return OneStageAnswers('roi_alignps')


@pytest.mark.slow
@pytest.mark.parametrize('picture', ['scene-wide.jpg', 'scene-high.jpg'])
def test_answers_are_those_of_the_official_code(picture):
    assert too_large(answers().differences(picture)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'differ'),
    [
        ('aligned', {'embeddings', 'queries'}),
        ('query_from', {'queries'}),
        ('embedding', {'embeddings', 'queries'}),
    ],
)
def test_without_an_option_answers_differ(change, differ, monkeypatch):
    """So that the comparison would notice."""
    model = answers().model
    if change == 'aligned':
        (extractor,) = model.roi_head.bbox_roi_extractor
        monkeypatch.setattr(extractor.roi_layers[0], 'aligned', False)
    elif change == 'query_from':
        monkeypatch.setitem(
            model.bbox_head.test_cfg, 'query_from', 'locations'
        )
    else:
        # The other way round.
        monkeypatch.setattr(
            type(model),
            'combine',
            lambda self, both: torch.cat(both[::-1], 1) / 2**0.5,
        )
    found = answers().differences('scene-wide.jpg')
    assert differ == too_large(found, 10)

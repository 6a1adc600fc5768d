"""AlignPS' release: weights by the rules, and the answers of its code."""

from functools import lru_cache

import pytest
import torch
from one_stage_answers import OneStageAnswers, too_large

from mmps.apis import get_model
from mmps.checkpoints.published import convert, recognise
from mmps.checkpoints.reading import load_state

from published_weights import listed_weights

FAMILIES = {'alignps': 'alignps', 'alignps_plus': 'alignps-plus'}
TABLE = 'bbox_head.labeled_matching_layer.lookup_table'
QUEUE = 'bbox_head.unlabeled_matching_layer'


def listed(name, dataset):
    state = listed_weights(name)
    if dataset == 'cuhk-sysu':
        state[TABLE] = torch.rand(5532, 256)
        state[f'{QUEUE}.queue'] = torch.rand(5000, 256)
    state[TABLE][3] = 0
    state[f'{QUEUE}.tail'] = torch.tensor(7)
    return state


@pytest.mark.parametrize('dataset', ['prw', 'cuhk-sysu'])
@pytest.mark.parametrize(('name', 'family'), FAMILIES.items())
def test_every_weight_has_its_place(name, family, dataset):
    state = listed(name, dataset)
    before = {key: value.clone() for key, value in state.items()}
    assert [one.name for one in recognise(state)] == [family]
    imported = convert(state)
    assert imported.left_out == []
    assert imported.config == f'{family}-release_r50_{dataset}'
    model = get_model(imported.config)
    load_state(model, dict(imported.state), name)
    memory = model.bbox_head.memory
    assert torch.equal(memory.prototypes, before[TABLE])
    assert not memory.prototypes_filled[3]
    assert memory.prototypes_filled.sum() == len(memory.prototypes) - 1
    assert torch.equal(memory.queue, before[f'{QUEUE}.queue'])
    assert memory.queue_pointer == 7
    weights = dict(model.state_dict())
    for key in (
        'neck.fpn_convs.0.conv_offset.bias',
        'bbox_head.scales.2.scale',
    ):
        assert torch.equal(weights[key], before[key])
    assert all(torch.equal(state[key], before[key]) for key in state)


@lru_cache(maxsize=1)
def answers_of(name):
    return OneStageAnswers(name)


@pytest.mark.slow
@pytest.mark.parametrize('picture', ['scene-wide.jpg', 'scene-high.jpg'])
@pytest.mark.parametrize('name', FAMILIES)
def test_answers_are_those_of_the_official_code(name, picture):
    assert too_large(answers_of(name).differences(picture)) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'differ'),
    [
        ('subtract_mean', {'embeddings', 'queries'}),
        ('query_from', {'queries'}),
    ],
)
def test_without_an_option_answers_differ(change, differ, monkeypatch):
    """So that the comparison would notice."""
    answers = answers_of('alignps')
    head = answers.model.bbox_head
    if change == 'subtract_mean':
        monkeypatch.setattr(head, 'subtract_mean', False)
        monkeypatch.setitem(head.test_cfg, 'max_per_img', 29)
        monkeypatch.setitem(head.test_cfg, 'score_thr', 0.0)
    else:
        monkeypatch.setitem(head.test_cfg, 'query_from', 'locations')
    found = answers.differences('scene-wide.jpg')
    assert differ <= too_large(found, 10)

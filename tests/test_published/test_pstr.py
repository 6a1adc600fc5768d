"""PSTR's release: weights by the rules, and the answers of its code."""

import pytest
import torch
from one_stage_answers import OneStageAnswers, too_large

from mmps.apis import get_model
from mmps.checkpoints.published import convert, recognise
from mmps.checkpoints.reading import load_state

from published_weights import listed_weights

FAMILIES = {
    'pstr': ('pstr', 'r50'),
    'pstr_dcn': ('pstr-dcn', 'r50-dcn'),
    'pstr_pvtv2': ('pstr-pvtv2', 'pvtv2-b2'),
}
TABLES = 'bbox_head.labeled_matching_layers'
QUEUES = 'bbox_head.unlabeled_matching_layers'


@pytest.mark.parametrize('dataset', ['prw', 'cuhk-sysu'])
@pytest.mark.parametrize('name', FAMILIES)
def test_every_weight_has_its_place(name, dataset):
    family, network = FAMILIES[name]
    state = listed_weights(name)
    rows, queue = (483, 500) if dataset == 'prw' else (5532, 5000)
    for number in range(3):
        state[f'{TABLES}.{number}.lookup_table'] = torch.rand(rows, 256)
        state[f'{QUEUES}.{number}.queue'] = torch.rand(queue, 256)
        state[f'{QUEUES}.{number}.tail'] = torch.tensor(7 + number)
    state[f'{TABLES}.1.lookup_table'][3] = 0
    before = {key: value.clone() for key, value in state.items()}
    assert [one.name for one in recognise(state)] == [family]
    imported = convert(state)
    assert imported.left_out == []
    assert imported.config == f'pstr_{network}_{dataset}'
    model = get_model(imported.config)
    load_state(model, dict(imported.state), name)
    head = model.bbox_head
    for number, memory in enumerate(head.memories):
        table = before[f'{TABLES}.{number}.lookup_table']
        assert torch.equal(memory.prototypes, table)
        assert memory.prototypes_filled.sum() == rows - (number == 1)
        assert memory.queue_pointer == 7 + number
    own = model.state_dict()
    for ours, theirs in (
        ('decoder.layers.1.ffn.layers.1.bias', 'ffns.0.layers.1.bias'),
        (
            'decoder.layers.1.cross_attn.sampling_offsets.bias',
            'attentions.1.sampling_offsets.bias',
        ),
    ):
        key = f'bbox_head.transformer.decoder.layers.1.{theirs}'
        assert torch.equal(own[ours], before[key])
    levels = before['bbox_head.transformer.level_embeds']
    assert torch.equal(model.level_embed, levels[:1])
    assert all(torch.equal(state[key], before[key]) for key in state)


def answers_of(name):
    answers = OneStageAnswers(name)
    # All queries of the decoder, as the code gives them.
    answers.model.bbox_head.test_cfg.score_thr = 0
    return answers


@pytest.fixture(scope='module')
def answers():
    return answers_of('pstr')


@pytest.mark.slow
@pytest.mark.parametrize('name', FAMILIES)
def test_answers_are_those_of_the_official_code(name):
    answers = answers_of(name)
    # PVTv2 amplifies the rounding of its input.
    factor = 10 if name == 'pstr_pvtv2' else 1
    for picture in ('scene-wide.jpg', 'scene-high.jpg'):
        assert len(answers.answers[f'{picture}/scores']) == 100
        assert too_large(answers.differences(picture), factor) == set()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'differ'),
    [('map_weights', {'embeddings', 'queries'}), ('query_from', {'queries'})],
)
def test_without_an_option_answers_differ(
    answers, change, differ, monkeypatch
):
    """So that the comparison would notice."""
    head = answers.model.bbox_head
    if change == 'map_weights':
        monkeypatch.setattr(head, 'map_weights', (1.0, 1.0, 1.0))
    else:
        monkeypatch.setitem(head.test_cfg, 'query_from', 'boxes')
    assert too_large(answers.differences('scene-wide.jpg'), 10) == differ

"""PSTR's release: weights by the rules, and the answers of its code."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate

from mmps.apis import PersonModel, get_model
from mmps.checkpoints.published import convert, recognise
from mmps.checkpoints.reading import load_state
from mmps.datasets.transforms import LoadFrame
from mmps.utils.config import load_config

from published_weights import (
    DATA,
    listed_weights,
    published_weights,
    read_oracle,
)

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


@pytest.fixture(scope='module')
def answers():
    return read_oracle('pstr')


@pytest.fixture(scope='module')
def given(answers):
    """With the weights of the answers, and the size of their pictures."""
    meta = json.loads(str(answers['meta']))
    imported = convert(published_weights(answers))
    assert imported.dataset == meta['dataset']
    config = load_config(f'mmps::pstr/{imported.config}.py')
    (resize,) = (
        step
        for step in config.test_dataloader.dataset.pipeline
        if step.type == 'mmdet.Resize'
    )
    assert tuple(resize.scale) == (1500, 900)
    resize.scale = tuple(meta['scale'])
    model = PersonModel(config, device='cpu', det_thr=0)
    model.model.load_state_dict(imported.state)
    # All queries of the decoder, as the code gives them.
    model.model.bbox_head.test_cfg.score_thr = 0
    model.model.double()
    return model, meta['queries']


def distance(one, two):
    """Largest of 1 - cosine; stored are halves."""
    two = F.normalize(torch.from_numpy(two).double(), dim=1)
    return (1 - (one.double() * two).sum(1)).max().item()


@torch.inference_mode()
def differences(answers, given, picture):
    """From the stored answers, in double precision like those."""
    person_model, queries = given
    image = LoadFrame().transform(dict(img_path=str(DATA / picture)))['img']
    prepared = person_model.prepare(image, queries[picture])
    model = person_model.model
    data = model.data_preprocessor(pseudo_collate([prepared]))
    sample = data['data_samples'][0]
    model.predict(data['inputs'].double(), [sample])
    found = sample.pred_instances

    def stored(key):
        return answers[f'{picture}/{key}']

    inputs = data['inputs'][0, :, ::8, ::8].numpy()
    assert len(found) == len(stored('scores')) == 100
    return dict(
        inputs=np.abs(inputs - stored('input_sample')).max(),
        bboxes=np.abs(found.bboxes.numpy() - stored('bboxes')).max(),
        scores=np.abs(found.scores.numpy() - stored('scores')).max(),
        embeddings=distance(found.embeddings, stored('embeddings')),
        queries=distance(
            sample.query_instances.embeddings, stored('query_embeddings')
        ),
    )


# Pixels, scores, 1 - cosine.
TOLERANCES = dict(
    inputs=1e-4, bboxes=1e-3, scores=1e-6, embeddings=1e-6, queries=1e-6
)


@pytest.mark.slow
@pytest.mark.parametrize('picture', ['scene-wide.jpg', 'scene-high.jpg'])
def test_answers_are_those_of_the_official_code(answers, given, picture):
    found = differences(answers, given, picture)
    assert found.keys() == TOLERANCES.keys()
    assert {k: v for k, v in found.items() if v > TOLERANCES[k]} == {}


@pytest.mark.slow
@pytest.mark.parametrize(
    ('change', 'differ'),
    [('map_weights', {'embeddings', 'queries'}), ('query_from', {'queries'})],
)
def test_without_an_option_answers_differ(
    answers, given, change, differ, monkeypatch
):
    """So that the comparison would notice."""
    head = given[0].model.bbox_head
    if change == 'map_weights':
        monkeypatch.setattr(head, 'map_weights', (1.0, 1.0, 1.0))
    else:
        monkeypatch.setitem(head.test_cfg, 'query_from', 'boxes')
    found = differences(answers, given, 'scene-wide.jpg')
    assert {k for k, v in found.items() if v > 10 * TOLERANCES[k]} == differ

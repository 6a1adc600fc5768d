"""AlignPS' release: weights by the rules, and the answers of its code."""

import json
from functools import lru_cache

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
def answers(name):
    return read_oracle(name)


@lru_cache(maxsize=1)
def person_model(name):
    """With the weights of the answers, and the size of their pictures."""
    meta = json.loads(str(answers(name)['meta']))
    imported = convert(published_weights(answers(name)))
    assert imported.dataset == meta['dataset']
    config = load_config(f'mmps::alignps/{imported.config}.py')
    (resize,) = (
        step
        for step in config.test_dataloader.dataset.pipeline
        if step.type == 'mmdet.Resize'
    )
    assert tuple(resize.scale) == (1500, 900)
    resize.scale = tuple(meta['scale'])
    model = PersonModel(config, device='cpu', det_thr=0)
    model.model.load_state_dict(imported.state)
    return model, meta['queries']


def distance(one, two):
    """Largest of 1 - cosine; stored are halves."""
    two = F.normalize(torch.from_numpy(two).double(), dim=1)
    return (1 - (one.double() * two).sum(1)).max().item()


@torch.inference_mode()
def differences(name, picture):
    """From the stored answers, in double precision like those."""
    oracle = answers(name)
    given, queries = person_model(name)
    image = LoadFrame().transform(dict(img_path=str(DATA / picture)))['img']
    prepared = given.prepare(image, queries[picture])
    model = given.model.double()
    data = model.data_preprocessor(pseudo_collate([prepared]))
    sample = data['data_samples'][0]
    maps = model.extract_feat(data['inputs'].double())
    (found,) = model.bbox_head.predict(maps, [sample], rescale=True)

    def stored(key):
        return oracle[f'{picture}/{key}']

    inputs = data['inputs'][0, :, ::8, ::8].numpy()
    assert len(found) == len(stored('scores')) >= 10
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
@pytest.mark.parametrize('name', FAMILIES)
def test_answers_are_those_of_the_official_code(name, picture):
    found = differences(name, picture)
    assert found.keys() == TOLERANCES.keys()
    assert {k: v for k, v in found.items() if v > TOLERANCES[k]} == {}


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
    model, _ = person_model('alignps')
    head = model.model.bbox_head
    if change == 'subtract_mean':
        monkeypatch.setattr(head, 'subtract_mean', False)
        monkeypatch.setitem(head.test_cfg, 'max_per_img', 29)
        monkeypatch.setitem(head.test_cfg, 'score_thr', 0.0)
    else:
        monkeypatch.setitem(head.test_cfg, 'query_from', 'locations')
    found = differences('alignps', 'scene-wide.jpg')
    assert differ <= {k for k, v in found.items() if v > 10 * TOLERANCES[k]}

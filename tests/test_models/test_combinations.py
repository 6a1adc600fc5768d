"""Tests of every part of the two-stage methods with every other one.

All pairs of choices are covered (the full product has over a million); each
combination trains a step and predicts. Pairs that make no sense end in an
error that names both parts.
"""

import itertools
import random

import pytest
import torch

import mmps.models  # noqa: F401
from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from tiny_methods import occluded_attention, shallow_branch, shallow_neck

SELECTIVE = dict(type='mmps.SelectiveRefreshQueue')
ONE_LEVEL = dict(type='mmps.LinearProjection', in_channels=[64], embed_dims=16)
TWO_LEVELS = dict(
    type='mmps.LinearProjection', in_channels=[32, 64], embed_dims=16
)
CHOICES = {
    'head': ['plain', 'sequential', 'cascade'],
    'shared': ['layer4', 'transformer'],
    'classifier': ['Linear', 'one logit', 'Norm', 'PixelNorm', 'Memory'],
    'decomposition': [
        'SharedPooling',
        'FlattenDecomposition',
        'ParameterDecomposition',
        'MarginalDecomposition',
    ],
    'pooling': ['Max', 'Mean', 'PGA', 'PGA without guidance', 'NormAttention'],
    'attention': [None, 'PedestrianAttention', 'SpatialAttention', 'CBAM',
                  'NonLocal2d'],
    'projection': ['one level', 'two levels', 'Gaussian', 'attenuated'],
    'norm': ['BN', 'ProtoNorm', 'ProtoNorm in layer4'],
    'loss': ['OIM', 'focal OIM', 'BOIM', 'FC', 'HOIM', 'HOIM-FC'],
    'regression': ['SmoothL1', 'IRR'],
    'update': ['MomentumUpdate', 'plain', 'AdaptiveMomentumUpdate',
               'LocalizationAwareUpdate'],
    'queue': ['circular', 'selective', 'none'],
    'background': [False, True],
    'identities': [False, True],
    'shallow': [None, 'SFM', 'SFM+SD', 'SFM+SD map'],
    'filter': [None, 'GalleryFilter'],
}  # fmt: skip
NAMES = list(CHOICES)
PLAIN = dict(
    head='plain', shared='layer4', classifier='Linear',
    decomposition='SharedPooling', pooling='Max', attention=None,
    projection='one level', norm='BN', loss='OIM', regression='SmoothL1',
    update='MomentumUpdate', queue='circular', background=False,
    identities=False, shallow=None, filter=None,
)  # fmt: skip


def refused(c):
    """Why a combination makes no sense; None if it does."""
    if c['classifier'] == 'Memory' and not c['background']:
        return 'MemoryClassifier .* no background queue'
    if c['classifier'] == 'PixelNorm' and c['pooling'] != 'NormAttention':
        return 'PixelNormClassifier .* use NormAttention'
    projected = c['pooling'].startswith('PGA') or c['pooling'] == (
        'NormAttention'
    )
    if projected and c['projection'] in ('Gaussian', 'attenuated'):
        return 'comes after the projection, but UncertaintyGuidance'
    if c['queue'] == 'selective' and 'SD' in (c['shallow'] or ''):
        return 'loss_distill .* SelectiveRefreshQueue'
    if c['filter'] and c['shallow']:
        return 'gallery_filter gates scenes .* with shallow'
    if c['filter'] and c['head'] == 'cascade':
        return 'gallery_filter .* num_reid_stages=2'
    if c['filter'] and c['norm'] != 'BN':
        return 'ProtoNorm counts people, but gallery_filter'
    return None


def pairwise(seed=0):
    """Valid combinations in which every valid pair of choices occurs."""
    rng = random.Random(seed)

    def valid(partial):
        """Whether the other choices can be made so that it makes sense."""
        tries = [{}, dict(background=True), dict(pooling='NormAttention')]
        return any(
            refused({**PLAIN, **extra, **partial}) is None for extra in tries
        )

    todo = {
        ((a, x), (b, y))
        for a, b in itertools.combinations(NAMES, 2)
        for x in CHOICES[a]
        for y in CHOICES[b]
        if valid({a: x, b: y})
    }
    while todo:
        best, gain = None, -1
        for _ in range(60):
            (a, x), (b, y) = rng.choice(sorted(todo, key=repr))
            while True:
                c = {name: rng.choice(CHOICES[name]) for name in NAMES}
                c[a], c[b] = x, y
                if c['classifier'] == 'Memory':
                    c['background'] = True
                if c['classifier'] == 'PixelNorm':
                    c['pooling'] = 'NormAttention'
                if c[a] == x and c[b] == y and refused(c) is None:
                    break
            pairs = set(itertools.combinations(c.items(), 2))
            if len(pairs & todo) > gain:
                best, gain = c, len(pairs & todo)
        todo -= set(itertools.combinations(best.items(), 2))
        yield best


def config(c):
    """The model of one combination."""
    memory = dict(
        queue_size=0 if c['queue'] == 'none' else 8,
        update=dict(type=f'mmps.{c["update"]}')
        if c['update'] != 'plain'
        else dict(type='mmps.MomentumUpdate', normalise=False),
    )
    if c['queue'] == 'selective':
        memory['queue'] = SELECTIVE
    if c['background']:
        memory['background_size'] = 6
    pooling, loss_attention = c['pooling'], None
    side = 8 if c['shared'] == 'transformer' else 4
    if pooling.startswith('PGA'):
        pooling = dict(
            type='mmps.PrototypeGuidedAttention',
            channels=16,
            size=(side, side),
        )
        if 'without' not in c['pooling']:
            loss_attention = dict(
                type='mmps.PrototypeGuidanceLoss', warmup_iters=0
            )
    elif pooling == 'NormAttention':
        pooling = dict(type='mmps.NormAttention')
    else:
        pooling = dict(type=f'mmps.{pooling}Pooling')
    margin = dict(m1=0.9, m2=0.1)
    loss = {
        'HOIM-FC': dict(type='mmps.HOIMLoss', margin=margin),
        'focal OIM': dict(
            type='mmps.OIMLoss', gamma=2.0, queue_temperature=0.1
        ),
    }.get(c['loss'], dict(type=f'mmps.{c["loss"]}Loss'))
    reid = dict(
        pooling=pooling,
        projection=ONE_LEVEL if c['projection'] == 'one level' else TWO_LEVELS,
        memory=memory,
        loss_reid=loss,
    )
    norm = dict(type='mmps.ProtoNorm')
    if c['norm'] != 'BN':
        reid['projection'] = dict(reid['projection'], norm=norm)
    if loss_attention:
        reid['loss_attention'] = loss_attention
    if c['projection'] == 'Gaussian':
        reid['uncertainty'] = dict(type='mmps.UncertaintyGuidance')
    if c['projection'] == 'attenuated':
        reid['uncertainty'] = dict(mode='attenuate')
    if c['identities']:
        reid['id_classifier'] = dict(max_ids=9)
    bbox_head = dict(
        roi_feat_size=side,
        decomposition=dict(type=f'mmps.{c["decomposition"]}'),
        classifier=dict(type=f'mmps.{c["classifier"]}Classifier'),
    )
    if c['classifier'] == 'one logit':
        bbox_head['classifier'] = dict(
            type='mmps.LinearClassifier', one_logit=True
        )
    if c['classifier'] == 'Memory':
        bbox_head['loss_cls'] = dict(type='mmps.SoftmaxFocalLoss')
    if c['regression'] == 'IRR':
        bbox_head['loss_bbox'] = dict(type='mmps.IRRLoss')
    roi_head = dict(bbox_head=bbox_head, reid_head=reid)
    if c['attention']:
        kind = c['attention']
        scope = '' if kind == 'NonLocal2d' else 'mmps.'
        roi_head['attention'] = dict(type=scope + kind)
    if c['shallow']:
        branch = shallow_branch()
        if 'SD' in c['shallow']:
            branch['loss_distill'] = dict(type='mmps.SoftLabelLoss')
            branch['reid_head']['memory']['queue_size'] = memory['queue_size']
        if 'map' in c['shallow']:
            branch['roi_extractor']['featmap_strides'] = [8]
        roi_head['shallow'] = branch
    if c['filter']:
        roi_head['gallery_filter'] = dict(
            pool_size=8, memory=dict(num_scenes=4)
        )
    if c['shared'] == 'transformer':
        roi_head['shared_head'] = occluded_attention(exchange_width=1)
    stages = dict(plain=1, sequential=2, cascade=3)[c['head']]
    roi_head['num_reid_stages'] = max(1, stages - 1)
    model = tiny_two_stage(stages, **roi_head)
    if 'layer4' in c['norm'] and c['shared'] == 'layer4':
        model.roi_head.shared_head.backbone.norm_cfg = dict(norm, affine=True)
    if c['shallow']:
        model = shallow_neck(model)
        if 'map' in c['shallow']:
            model.neck.fuse = 'map'
    return model


COMBINATIONS = list(pairwise())


def name_of(c):
    return '-'.join(str(value) for value in c.values()).replace(' ', '_')


@pytest.mark.parametrize('c', COMBINATIONS, ids=name_of)
def test_trains_and_predicts(c):
    torch.manual_seed(0)
    model = build(config(c)).train()
    inputs, samples = demo_search_samples((3, 2))
    losses = model.loss(inputs, samples)
    total = training_loss(losses)
    assert total.isfinite()
    total.backward()
    unused = [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert unused == []
    heads = [model.roi_head.reid_head, *model.roi_head.earlier_reid_heads]
    if c['shallow']:
        heads.append(model.roi_head.shallow.reid_head)
    ids = torch.cat([s.gt_instances.person_ids for s in samples])
    for head in heads:
        filled = head.memory.prototypes_filled.nonzero().flatten().tolist()
        assert filled == sorted(set(ids.tolist()) - {-1})

    model.eval()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 2))
    with torch.no_grad():
        results = model.predict(inputs, samples)
    dims = 32 if c['head'] == 'cascade' else 16
    dims += 16 if c['shallow'] else 0
    for sample, queries in zip(results, (1, 2)):
        found = sample.pred_instances
        assert len(found) > 0
        vectors = torch.cat(
            (found.embeddings, sample.query_instances.embeddings)
        )
        assert vectors.shape == (len(found) + queries, dims)
        torch.testing.assert_close(
            vectors.norm(dim=1), torch.ones(len(vectors))
        )


def test_every_pair_is_there():
    seen = set()
    for c in COMBINATIONS:
        assert refused(c) is None
        seen |= set(itertools.combinations(c.items(), 2))
    missing = [
        pair
        for a, b in itertools.combinations(NAMES, 2)
        for x in CHOICES[a]
        for y in CHOICES[b]
        if (pair := ((a, x), (b, y))) not in seen
    ]
    base = COMBINATIONS[0]
    # What is missing is refused by itself, whatever the rest is.
    for pair in missing:
        assert refused({**base, **dict(pair)}) is not None, pair


INVALID = [
    dict(classifier='Memory'),
    dict(classifier='PixelNorm'),
    dict(pooling='PGA', projection='attenuated'),
    dict(pooling='NormAttention', projection='Gaussian'),
    dict(queue='selective', shallow='SFM+SD'),
    dict(filter='GalleryFilter', shallow='SFM'),
    dict(filter='GalleryFilter', norm='ProtoNorm'),
]


@pytest.mark.parametrize('parts', INVALID)
def test_what_makes_no_sense_is_refused(parts):
    reason = refused({**PLAIN, **parts})
    with pytest.raises(ValueError, match=reason):
        build(config({**PLAIN, **parts}))

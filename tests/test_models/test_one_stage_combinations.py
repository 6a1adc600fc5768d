"""Tests of the parts of one-stage methods with each other."""

import itertools

import pytest
import torch
from mmengine.config import ConfigDict

from mmps.models.memories import IdentityMemory
from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from tiny_methods import tiny_alignps, tiny_pcnet, tiny_pstr

HEADS = {'PCNet': tiny_pcnet, 'AlignPS': tiny_alignps}
NECKS = ['ChannelMapper', 'AFA']
LOSSES = {
    'OIM': dict(type='mmps.OIMLoss'),
    'focal OIM': dict(type='mmps.OIMLoss', gamma=2.0, queue_temperature=0.1),
    'BOIM': dict(type='mmps.BOIMLoss', queue_temperature=0.1),
    'FC': dict(type='mmps.FCLoss', gamma=2.0),
    'HOIM': dict(type='mmps.HOIMLoss'),
}
UPDATES = {
    'momentum': dict(type='mmps.MomentumUpdate'),
    'plain': dict(type='mmps.MomentumUpdate', normalise=False),
    'AMU': dict(type='mmps.AdaptiveMomentumUpdate'),
    'LOIM': dict(type='mmps.LocalizationAwareUpdate'),
}
QUEUES = [dict(), dict(queue=dict(type='mmps.SelectiveRefreshQueue'))]
# Every pair of choices; the queues take turns.
COMBINATIONS = [
    (*choices, QUEUES[(i + i // 2 + i // 4 + i // 20) % 2])
    for i, choices in enumerate(
        itertools.product(LOSSES, UPDATES, HEADS, NECKS)
    )
]


def config(loss, update, head, neck, queue):
    model = HEADS[head]()
    levels = 3 if head == 'AlignPS' else 2
    channels = model.bbox_head.in_channels
    if neck == 'AFA':
        model.neck = dict(
            type='mmps.AlignedFeatureAggregation',
            in_channels=[16, 32],
            out_channels=channels,
            start_level=0,
            num_outs=levels,
        )
    else:
        model.neck = dict(
            tiny_pcnet().neck, out_channels=channels, num_outs=levels
        )
    model.bbox_head.memory = dict(
        num_ids=6, queue_size=8, update=UPDATES[update], **queue
    )
    model.bbox_head.loss_reid = LOSSES[loss]
    model.test_cfg = dict(
        nms=dict(type='nms', iou_threshold=0.5), max_per_img=10
    )
    return model


def test_every_pair_is_there():
    names = [
        (*c[:4], 'selective' if c[4] else 'circular') for c in COMBINATIONS
    ]
    choices = (LOSSES, UPDATES, HEADS, NECKS, ('selective', 'circular'))
    for a, b in itertools.combinations(range(5), 2):
        pairs = {(name[a], name[b]) for name in names}
        assert pairs == set(itertools.product(choices[a], choices[b]))


@pytest.mark.parametrize(
    'choices', COMBINATIONS, ids=lambda c: '-'.join(c[:4])
)
def test_trains_and_predicts(choices):
    check(config(*choices))


@pytest.mark.parametrize(
    ('loss', 'update', 'queue'),
    [
        (*choices, QUEUES[(i + i // 4) % 2])
        for i, choices in enumerate(itertools.product(LOSSES, UPDATES))
    ],
)
def test_pstr_trains_and_predicts(loss, update, queue):
    """A set of people, which reads a neck of its own."""
    model = tiny_pstr()
    model.bbox_head.memory = dict(
        num_ids=6, queue_size=8, update=UPDATES[update], **queue
    )
    model.bbox_head.loss_reid = LOSSES[loss]
    check(model)


ROI_PARTS = {
    'uncertainty': dict(
        reid_head=dict(
            uncertainty=dict(type='mmps.UncertaintyGuidance', mode='attenuate')
        )
    ),
    'HOIM': dict(
        reid_head=dict(
            memory=dict(background_size=6),
            loss_reid=dict(type='mmps.HOIMLoss'),
        ),
        bbox_head=dict(classifier=dict(type='mmps.MemoryClassifier')),
    ),
    'PGA': dict(
        reid_head=dict(
            pooling=dict(
                type='mmps.PrototypeGuidedAttention', channels=16, size=(4, 4)
            ),
            projection=dict(
                type='mmps.LinearProjection', in_channels=[64], embed_dims=16
            ),
        )
    ),
    'ProtoNorm': dict(
        reid_head=dict(
            projection=dict(
                type='mmps.LinearProjection',
                in_channels=[64],
                embed_dims=16,
                norm=dict(type='mmps.ProtoNorm'),
            ),
            memory=dict(update=dict(type='mmps.LocalizationAwareUpdate')),
        )
    ),
    'two stages': dict(num_stages=2),
    'gallery filter': dict(
        gallery_filter=dict(type='mmps.GalleryFilter', pool_size=8)
    ),
}


@pytest.mark.parametrize('head', HEADS)
@pytest.mark.parametrize('parts', ROI_PARTS)
def test_both_kinds_of_heads_train_and_predict(head, parts):
    """Neither knows what the other is made of."""
    loss = list(LOSSES)[list(ROI_PARTS).index(parts) % len(LOSSES)]
    dense = config(loss, 'momentum', head, NECKS[head == 'AlignPS'], {})
    two_stage = tiny_two_stage(**ROI_PARTS[parts])
    model = ConfigDict(
        {
            **two_stage,
            'type': 'mmps.DenseTwoStageDetector',
            'backbone': dense.backbone,
            'neck': dense.neck,
            'bbox_head': dense.bbox_head,
            'roi_levels': (1,),
            'loss_mutual': dict(
                type='mmps.MutualInformationLoss', embed_dims=(16, 16)
            ),
            'train_cfg': dict(
                two_stage.train_cfg, dense=dense.get('train_cfg')
            ),
            'test_cfg': dict(two_stage.test_cfg, dense=dense.test_cfg),
        }
    )
    check(model)


def check(model):
    torch.manual_seed(0)
    model = build(model).train()
    inputs, samples = demo_search_samples((3, 2))
    for _ in range(2):
        total = training_loss(model.loss(inputs, samples))
    assert total.isfinite()
    total.backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []
    for memory in model.modules():
        if isinstance(memory, IdentityMemory):
            assert memory.prototypes_filled.any()
            assert memory.queue_filled.any()

    model.eval()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 2))
    with torch.no_grad():
        results = model.predict(inputs, samples)
    for sample, queries in zip(results, (1, 2)):
        found = sample.pred_instances
        assert len(found) > 0
        vectors = torch.cat(
            (found.embeddings, sample.query_instances.embeddings)
        )
        assert len(vectors) == len(found) + queries
        torch.testing.assert_close(
            vectors.norm(dim=1), torch.ones(len(vectors))
        )

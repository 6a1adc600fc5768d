"""Tests of PCNet's head on mmdet's own detectors, backbones and necks."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmps.registry import MODELS
from mmps.testing import demo_search_samples

SWIN_T = dict(
    type='mmdet.SwinTransformer',
    embed_dims=96,
    depths=[2, 2, 6, 2],
    num_heads=[3, 6, 12, 24],
    out_indices=(1, 2, 3),
)
RESNET_18 = dict(
    type='mmdet.ResNet', depth=18, out_indices=(1, 2, 3), norm_eval=False
)
NECK = dict(type='mmdet.FPN', out_channels=32, num_outs=3, start_level=0)
PAFPN = dict(type='mmdet.PAFPN', out_channels=32, num_outs=3, start_level=0)


@pytest.mark.parametrize(
    ('detector', 'backbone', 'channels', 'neck'),
    [
        ('RetinaNet', SWIN_T, [192, 384, 768], NECK),
        ('RetinaNet', RESNET_18, [128, 256, 512], NECK),
        ('SingleStageDetector', RESNET_18, [128, 256, 512], PAFPN),
    ],
    ids=['swin-t', 'resnet-18', 'pafpn'],
)
def test_trains_and_predicts(detector, backbone, channels, neck):
    cfg = Config.fromfile('configs/_base_/models/pcnet_r18_scenes.py')
    model = cfg.model
    model.type = f'mmdet.{detector}'
    model.backbone = backbone
    model.neck = dict(neck, in_channels=channels)
    model.bbox_head.in_channels = 32
    model.bbox_head.memory.num_ids = 6
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(model)
    inputs, samples = demo_search_samples(
        (3, 2), (128, 160), queries=(1, 0), scale=0.5
    )
    losses = detector.loss(inputs, samples)
    total = sum(sum(v) if isinstance(v, list) else v for v in losses.values())
    total.backward()
    grads = [p.grad for p in detector.parameters() if p.grad is not None]
    assert all(g.isfinite().all() for g in grads)
    assert detector.bbox_head.memory.prototypes_filled.any()

    detector.eval()
    with torch.no_grad():
        results = detector.predict(inputs, samples)
    for result in results:
        norms = result.pred_instances.embeddings.norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms))
    assert len(results[0].query_instances.embeddings) == 1


@pytest.mark.parametrize('background', [0, 6])
@pytest.mark.parametrize(
    'loss',
    [
        dict(type='mmps.BOIMLoss'),
        dict(type='mmps.FCLoss'),
        dict(type='mmps.HOIMLoss'),
        dict(type='mmps.HOIMLoss', margin=dict(m1=0.9, m2=0.1)),
        dict(type='mmps.BOIMLoss', margin=dict(m1=1.0, m2=0.5)),
    ],
    ids=['boim', 'fc', 'hoim', 'hoim-fc', 'boim-arcface'],
)
def test_every_loss_trains_pcnet(loss, background):
    model = Config.fromfile('configs/_base_/models/pcnet_r18_scenes.py').model
    model.bbox_head.loss_reid = loss
    model.bbox_head.memory.update(num_ids=6, background_size=background)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(model).train()
    inputs, samples = demo_search_samples((3, 2), (128, 160))
    optimizer = torch.optim.AdamW(detector.parameters(), lr=1e-3)
    values = []
    for _ in range(6):
        losses = detector.loss(inputs, samples)
        values.append(losses['loss_reid'])
        total = sum(
            sum(v) if isinstance(v, list) else v for v in losses.values()
        )
        assert total.isfinite()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    # From the second step on the memory knows the people.
    assert values[-1] < values[1]
    point = detector.bbox_head.point_pooling
    assert all(p.grad.any() for p in point.parameters())

"""Tests of the tiny two-stage model."""

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmps.testing import (
    HALF_DTYPES,
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)


@pytest.mark.parametrize('num_stages', [1, 2])
def test_trains_and_predicts(num_stages):
    torch.manual_seed(0)
    model = build(tiny_two_stage(num_stages))
    assert sum(p.numel() for p in model.parameters()) < 500_000
    inputs, samples = demo_search_samples(queries=(1, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model.train()
    for _ in range(2):
        total = training_loss(model.loss(inputs, samples))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert torch.isfinite(total)
    parts = model.roi_head.reid_head.parameters()
    assert all(part.grad is not None for part in parts)
    with torch.no_grad():
        found = model.eval().predict(inputs, samples)
    assert found[0].pred_instances.embeddings.shape[1] == 16


def test_parts_are_merged():
    config = tiny_two_stage(
        num_ids=9,
        bbox_head=dict(loss_bbox=dict(type='mmdet.L1Loss')),
        reid_head=dict(memory=dict(queue_size=3), loss_reid=dict(type='A')),
    )
    head = config.roi_head
    assert head.bbox_head.loss_bbox == dict(type='mmdet.L1Loss')
    assert head.bbox_head.in_channels == 64
    assert head.reid_head.memory == dict(num_ids=9, queue_size=3)
    assert head.reid_head.loss_reid == dict(type='A')
    assert head.reid_head.projection.embed_dims == 16
    # Nothing is shared with the next one.
    assert tiny_two_stage().roi_head.reid_head.memory.queue_size == 8


def test_build_needs_no_scope():
    with DefaultScope.overwrite_default_scope('mmengine'):
        assert isinstance(build(tiny_two_stage()), nn.Module)


def test_training_loss():
    one, two = torch.tensor(1.0, requires_grad=True), torch.tensor(2.0)
    losses = dict(loss_cls=one, loss_rpn=[two, two], accuracy=torch.tensor(7))
    total = training_loss(losses)
    total.backward()
    assert total.item() == 5
    assert float(one.grad) == 1


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_half_dtypes_work_with_autocast(dtype):
    with torch.autocast('cpu', dtype):
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == dtype

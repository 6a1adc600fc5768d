"""Tests of ChannelsLastHook: another memory order, the same model."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import DefaultScope
from torch import nn

from mmps.engine.hooks import ChannelsLastHook
from mmps.registry import HOOKS
from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)
from mmps.utils.config import load_config


@pytest.fixture
def model():
    torch.manual_seed(0)
    layers = (nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 3))
    return nn.Sequential(*layers).double()


def test_reorders_maps_and_keeps_results(model):
    x = torch.randn(2, 3, 9, 7, dtype=torch.double)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    expected = model(x)
    model.load_state_dict(before)

    hook = HOOKS.build(dict(type='mmps.ChannelsLastHook'))
    assert isinstance(hook, ChannelsLastHook)
    hook.before_run(SimpleNamespace(model=model))
    out = model(x)

    torch.testing.assert_close(out, expected)
    assert not expected.is_contiguous(memory_format=torch.channels_last)
    assert out.is_contiguous(memory_format=torch.channels_last)


def test_checkpoints_fit_both_ways(model):
    plain = {k: v.clone() for k, v in model.state_dict().items()}
    ChannelsLastHook().before_run(SimpleNamespace(model=model))
    for key, value in model.state_dict().items():
        torch.testing.assert_close(value, plain[key], rtol=0, atol=0)
    # A checkpoint of the usual order does not undo it.
    model.load_state_dict(plain)
    weight = model[2].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert not weight.is_contiguous()


def one_stage():
    cfg = load_config('configs/pcnet/pcnet_r18_scenes.py').model
    cfg.bbox_head.memory.num_ids = 6
    cfg.test_cfg.score_thr = 0.0
    return cfg


@pytest.mark.parametrize('make', [one_stage, tiny_two_stage])
def test_detectors_train_and_predict_the_same(make):
    """Loss, gradients, detections and embeddings, and the state dict."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = build(make())
    other = copy.deepcopy(model)
    ChannelsLastHook().before_run(SimpleNamespace(model=other))
    assert list(other.state_dict()) == list(model.state_dict())

    outcomes = []
    for one in (model, other):
        torch.manual_seed(1)  # RoIs are drawn
        losses = one.train().loss(*demo_search_samples((3, 2)))
        loss = training_loss(losses)
        loss.backward()
        grads = [p.grad for p in one.parameters() if p.grad is not None]
        inputs, samples = demo_search_samples((3, 2), queries=(1, 1))
        with torch.no_grad():
            found = one.eval().predict(inputs, samples)
        outcome = [loss, *grads]
        for sample in found:
            people = sample.pred_instances
            assert len(people) > 1
            outcome += [people.bboxes, people.scores, people.embeddings]
            outcome.append(sample.query_instances.embeddings)
        outcomes.append(outcome)
    for ours, theirs in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)

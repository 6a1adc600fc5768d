"""Tests of CompileHook: compiled code, the same model."""

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from mmps.engine.hooks import CompileHook
from mmps.engine.preparation import compile_body, prepare_model
from mmps.registry import HOOKS
from mmps.testing import build, demo_search_samples, tiny_two_stage

pytestmark = pytest.mark.slow

pytest.importorskip('torch', minversion='2.6')
COUNTERS = torch._dynamo.utils.counters


@pytest.fixture
def model():
    """With a neck; small enough to compile in seconds."""
    torch._dynamo.reset()
    COUNTERS.clear()
    torch.manual_seed(0)
    cfg = tiny_two_stage()
    cfg.neck = ConfigDict(
        type='mmdet.ChannelMapper', in_channels=[32], out_channels=32
    )
    yield build(cfg).eval()
    torch._dynamo.reset()


@torch.no_grad()
def found_by(model, size=(128, 160), people=(3, 2)):
    inputs, samples = demo_search_samples(
        people, size, queries=(1,) * len(people)
    )
    results = []
    for sample in model.predict(inputs, samples):
        found = sample.pred_instances
        results += [found.bboxes, found.scores, found.embeddings]
        results.append(sample.query_instances.embeddings)
    return results


def test_says_the_same_with_one_program_for_all_sizes(model):
    sizes = [(128, 160), (96, 128), (160, 96), (128, 192)]
    expected = [found_by(model, size) for size in sizes]
    keys = list(model.state_dict())
    assert not COUNTERS['stats']

    hook = HOOKS.build(dict(type='mmps.CompileHook'))
    assert isinstance(hook, CompileHook)
    hook.before_test(SimpleNamespace(model=model))
    assert list(model.state_dict()) == keys
    for size, one in zip(sizes, expected):
        for ours, theirs in zip(found_by(model, size), one, strict=True):
            assert len(theirs) > 0
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    # Backbone and neck: for the first size, and for all others.
    assert COUNTERS['stats']['unique_graphs'] == 4
    assert not COUNTERS['graph_break']

    # Weights that are loaded afterwards count, in copies as well.
    state = {
        k: v * 1.1 if v.is_floating_point() else v
        for k, v in model.state_dict().items()
    }
    model.load_state_dict(state)
    with torch.compiler.set_stance('force_eager'):
        expected = found_by(model)
    for other in (model, copy.deepcopy(model)):
        for ours, theirs in zip(found_by(other), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3)


class Part(nn.Module):
    def forward(self, x):
        return x + 1


class Whole(nn.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def compiled(module):
    return module._compiled_call_impl is not None


def test_finds_the_parts():
    model = Whole(backbone=Part(), neck=None, bbox_head=Part())
    compile_body(nn.DataParallel(model))
    assert compiled(model.backbone)
    assert not compiled(model.bbox_head)
    assert not compiled(model)


def test_says_that_there_is_no_compiler(monkeypatch):
    monkeypatch.setenv('CXX', 'none-such')
    model = Whole(backbone=Part())
    with pytest.raises(ValueError, match=r'no C\+\+ compiler \(none-such\)'):
        compile_body(model)
    assert not compiled(model.backbone)


@pytest.mark.parametrize('name', ['mmps.CompileHook', 'CompileHook'])
def test_holds_without_a_runner(name):
    model = Whole(backbone=nn.Conv2d(3, 4, 3))
    others = [dict(type='EMAHook'), HOOKS.build(dict(type='EMAHook'))]
    prepare_model(model, others)
    assert not compiled(model.backbone)
    prepare_model(model, [*others, dict(type=name)])
    assert compiled(model.backbone)
    assert not model.backbone.weight.is_contiguous(
        memory_format=torch.channels_last
    )
    prepare_model(model, [dict(type='mmps.ChannelsLastHook')])
    assert model.backbone.weight.is_contiguous(
        memory_format=torch.channels_last
    )

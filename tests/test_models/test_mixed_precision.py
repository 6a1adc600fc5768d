"""Tests of all methods in half precisions and with accumulated gradients."""

import copy
from contextlib import nullcontext
from functools import partial

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from torch.nn.utils import parameters_to_vector

from mmps.engine import BF16OptimWrapper
from mmps.models.memories import IdentityMemory
from mmps.testing import HALF_DTYPES, build, demo_search_samples, training_loss

from tiny_methods import TINY_METHODS


def detector(name, device='cpu'):
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        return build(TINY_METHODS[name]()).to(device).train()


def memories(model):
    return [m for m in model.modules() if isinstance(m, IdentityMemory)]


def batch(seed, people=(3, 2)):
    inputs, samples = demo_search_samples(people, seed=seed)
    return dict(inputs=list(inputs), data_samples=samples)


def to_device(inputs, samples, device):
    return inputs.to(device), [s.to(device) for s in samples]


def grad_scaler(device):
    """Before torch 2.3, CUDA alone has one."""
    if hasattr(torch.amp, 'GradScaler'):
        return partial(torch.amp.GradScaler, device)
    return torch.cuda.amp.GradScaler


def step(model, dtype, device):
    """Loss and gradients of a batch under autocast, loss scaled as in AMP."""
    inputs, samples = to_device(*demo_search_samples((3, 2)), device)
    # Of the size that a dynamic scale comes down to.
    scaler = grad_scaler(device)(
        init_scale=64.0, enabled=dtype == torch.float16
    )
    half = dtype != torch.float32
    with torch.autocast(device, dtype) if half else nullcontext():
        loss = training_loss(model.loss(inputs, samples))
    scaler.scale(loss).backward()
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    scaler.unscale_(optimizer)
    grads = [
        p.grad.float().flatten()
        for p in model.parameters()
        if p.grad is not None
    ]
    return loss.detach().float(), torch.cat(grads)


def check_half(name, dtype, device):
    model = detector(name, device)
    exact, expected = step(copy.deepcopy(model), torch.float32, device)
    loss, grads = step(model, dtype, device)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, exact, rtol=0.05, atol=0.05)
    assert grads.isfinite().all()
    cosine = torch.cosine_similarity(grads, expected, dim=0)
    assert cosine > 0.9
    for memory in memories(model):
        assert memory.prototypes.dtype == torch.float32
        norms = memory.prototypes[memory.prototypes_filled].norm(dim=1)
        torch.testing.assert_close(norms, torch.ones_like(norms))


@pytest.mark.parametrize('dtype', HALF_DTYPES)
@pytest.mark.parametrize('name', TINY_METHODS)
def test_half_precision_is_close(name, dtype):
    check_half(name, dtype, 'cpu')


@pytest.mark.gpu
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
@pytest.mark.parametrize('name', TINY_METHODS)
def test_half_precision_is_close_on_a_gpu(name, dtype):
    check_half(name, dtype, 'cuda')


@pytest.mark.parametrize('wrapper', [OptimWrapper, BF16OptimWrapper])
@pytest.mark.parametrize('name', TINY_METHODS)
def test_accumulation_writes_every_sample_once(name, wrapper, monkeypatch):
    """Two batches to a step: the memory gets what two steps would give it."""
    model = detector(name)
    fresh = [copy.deepcopy(m) for m in memories(model)]
    calls = []
    update = IdentityMemory.update

    def note(self, *args):
        calls.append((self, copy.deepcopy(args)))
        update(self, *args)

    monkeypatch.setattr(IdentityMemory, 'update', note)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3)
    optim = wrapper(optimizer, accumulative_counts=2)
    optim.initialize_count_status(model, 0, 4)
    weights = []
    for seed in range(4):
        model.train_step(batch(seed), optim)
        weights.append(parameters_to_vector(model.parameters()).detach())
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[0], weights[1])
    monkeypatch.undo()
    for written, plain in zip(memories(model), fresh):
        mine = [args for memory, args in calls if memory is written]
        # A decoder updates once for each of its layers.
        decoder = getattr(model, 'decoder', None)
        assert len(mine) == 4 * (decoder.num_layers if decoder else 1)
        for args in mine:
            plain.update(*args)
        for key, value in plain.state_dict().items():
            assert torch.equal(value, written.state_dict()[key]), key

"""Tests of PGA's guidance against a loop over RoIs and positions."""

import pytest
import torch

from mmps.models.losses import PrototypeGuidanceLoss
from mmps.models.losses.prototype_guidance_loss import guidance
from mmps.models.memories import IdentityMemory


def features(num, seed=0):
    generator = torch.Generator().manual_seed(seed)
    f = torch.randn(num, 8, 3, 2, generator=generator)
    attention = torch.rand(num, 3, 2, generator=generator)
    return f.requires_grad_(), attention.requires_grad_()


def loop_loss(memory, f, attention, ids):
    total, count = 0.0, 0
    for i, person in enumerate(ids.tolist()):
        if person < 0 or not memory.prototypes_filled[person]:
            continue
        count += 1
        v = memory.prototypes[person].float()
        for h in range(3):
            for w in range(2):
                at = f[i, :, h, w].detach()
                m = float((v @ at) / (v.norm() * at.norm()))
                total = total + (max(m, 0.0) - attention[i, h, w]) ** 2
    return total / max(count, 1)


def test_value_and_gradient(seen_memory, unit):
    memory = seen_memory().float()
    f, attention = features(6)
    ids = torch.tensor([0, 3, -1, 2, 0, 1])  # 2 is unfilled
    readout = memory(unit(6, dtype=torch.float32))
    loss = PrototypeGuidanceLoss(loss_weight=0.1, warmup_iters=0)(
        attention, f, readout, ids
    )
    want = 0.1 * loop_loss(memory, f, attention, ids)
    torch.testing.assert_close(loss, want)
    grads = torch.autograd.grad(loss, (attention, f), allow_unused=True)
    (want_grad,) = torch.autograd.grad(want, attention)
    torch.testing.assert_close(grads[0], want_grad)
    assert grads[1] is None  # no gradient to the feature


def test_guidance_is_a_cosine_without_gradient(unit):
    f, _ = features(4)
    prototypes = unit(4, dtype=torch.float32).requires_grad_()
    m = guidance(f, prototypes)
    assert not m.requires_grad
    assert m.min() >= 0
    assert m.max() <= 1 + 1e-6


def test_weight_waits_for_every_prototype_or_the_warm_up(unit):
    memory = IdentityMemory(2, 8, queue_size=0)
    loss = PrototypeGuidanceLoss(loss_weight=1.0, warmup_iters=3)
    f, attention = features(1)
    ids = torch.tensor([0])

    def value():
        readout = memory(unit(1, dtype=torch.float32))
        return loss(attention, f, readout, ids).item()

    memory.update(unit(1, dtype=torch.float32), ids)
    assert [value() for _ in range(3)] == [0, 0, 0]
    assert value() > 0
    # Full before the warm-up is over.
    other = PrototypeGuidanceLoss(loss_weight=1.0, warmup_iters=3)
    memory.update(unit(1, seed=1, dtype=torch.float32), torch.tensor([1]))
    loss = other
    assert value() > 0


def test_resumes_its_warm_up(unit):
    memory = IdentityMemory(2, 8, queue_size=0)
    memory.update(unit(1, dtype=torch.float32), torch.tensor([0]))
    readout = memory(unit(1, dtype=torch.float32))
    f, attention = features(1)
    first = PrototypeGuidanceLoss(warmup_iters=2)
    for _ in range(2):
        assert first(attention, f, readout, torch.tensor([0])) == 0
    again = PrototypeGuidanceLoss(warmup_iters=2)
    again.load_state_dict(first.state_dict())
    assert again(attention, f, readout, torch.tensor([0])) > 0
    again.eval()
    again(attention, f, readout, torch.tensor([0]))
    assert int(again.steps) == 3


@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_nobody_counts(seen_memory, unit, ids):
    memory = seen_memory().float()
    f, attention = features(len(ids))
    readout = memory(unit(len(ids), dtype=torch.float32))
    loss = PrototypeGuidanceLoss(warmup_iters=0)(
        attention, f, readout, torch.tensor(ids, dtype=torch.long)
    )
    loss.backward()
    assert loss.item() == 0
    assert not attention.grad.any()

"""Tests of self-distillation against a loop."""

import pytest
import torch

from mmps.models.losses import SoftLabelLoss
from mmps.models.losses.soft_label_loss import same_columns
from mmps.models.memories import IdentityMemory


def loop_kl(teacher, student, valid, temperature):
    total = student.sum() * 0
    for t, s in zip(teacher.detach(), student):
        columns = [j for j in range(len(t)) if valid[j]]
        p = torch.stack([t[j] / temperature for j in columns]).softmax(0)
        q = torch.stack([s[j] / temperature for j in columns]).softmax(0)
        for a, b in zip(p, q):
            total = total + a * (a.log() - b.log())
    return total / max(len(teacher), 1)


@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
def test_value_and_gradient(seen_memory, unit, unfilled):
    memory = seen_memory(unfilled)
    deep = unit(5, seed=1).requires_grad_()
    shallow = unit(5, seed=2).requires_grad_()
    teacher, student = memory(deep), memory(shallow)
    loss = SoftLabelLoss(0.1, loss_weight=2.0)(teacher, student)
    valid = teacher.filled if unfilled == 'mask' else teacher.filled | True
    want = 2 * loop_kl(teacher.cosine, student.cosine, valid, 0.1)
    torch.testing.assert_close(loss, want)
    grads = torch.autograd.grad(
        loss, (deep, shallow), retain_graph=True, allow_unused=True
    )
    (want_grad,) = torch.autograd.grad(want, shallow)
    assert grads[0] is None
    torch.testing.assert_close(grads[1], want_grad)


def test_queues_that_are_not_in_step_take_no_part(seen_memory, unit):
    """As after loading a checkpoint without the shallow branch."""
    deep, shallow = seen_memory(), seen_memory()
    x = unit(3, seed=4)
    nobody = torch.tensor([], dtype=torch.long)
    deep.update(unit(1, seed=6), torch.tensor([-1]))
    shallow.update(unit(0), nobody)
    teacher, student = deep(x), shallow(unit(3, seed=5))
    assert same_columns(teacher, student).tolist() == [True] * 4 + [False] * 4
    loss = SoftLabelLoss(0.1)(teacher, student)
    valid = torch.arange(8) < 4
    want = loop_kl(teacher.cosine, student.cosine, valid, 0.1)
    torch.testing.assert_close(loss, want)
    shallow.update(unit(1, seed=7), torch.tensor([-1]))
    assert same_columns(deep(x), shallow(x)).all()


def test_equal_readouts_have_no_loss(seen_memory, unit):
    readout = seen_memory()(unit(4))
    assert SoftLabelLoss()(readout, readout).item() == pytest.approx(
        0, abs=1e-9
    )


def test_gradcheck(seen_memory, unit):
    memory = seen_memory()
    teacher = memory(unit(4, seed=3))
    assert torch.autograd.gradcheck(
        lambda x: SoftLabelLoss(0.2)(teacher, memory(x)),
        unit(4).requires_grad_(),
    )


def test_nobody(unit):
    memory = IdentityMemory(3, 8, queue_size=2)
    x = unit(0, dtype=torch.float32).requires_grad_()
    loss = SoftLabelLoss()(memory(x), memory(x))
    loss.backward()
    assert loss.item() == 0

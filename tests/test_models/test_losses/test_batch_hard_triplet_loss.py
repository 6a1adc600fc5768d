"""Tests of BatchHardTripletLoss against a loop over triplets."""

import pytest
import torch

from mmps.models.losses import BatchHardTripletLoss
from mmps.models.losses.functional import batch_hard_triplet_loss


def loop_loss(memory, x, person_ids, margin, prototypes):
    """Mean over labelled samples and their rows."""
    people = [(f, i) for f, i in zip(x, person_ids.tolist()) if i >= 0]
    if prototypes:
        people += [
            (memory.prototypes[i], i)
            for _, i in list(people)
            if memory.prototypes_filled[i]
        ]

    def distance(a, b):
        return (a - b).square().sum().clamp(min=1e-12).sqrt()

    total = 0 * x.sum()
    for a, person in people:
        same = [distance(a, b) for b, other in people if other == person]
        others = [distance(a, b) for b, other in people if other != person]
        if others:
            gap = margin + max(same) - min(others)
            total = total + max(gap, 0 * gap)
    return total / max(len(people), 1)


@pytest.mark.parametrize('prototypes', [False, True])
@pytest.mark.parametrize('margin', [0.3, 1.5])
@pytest.mark.parametrize('seed', range(20))
def test_value_and_gradient(seen_memory, unit, prototypes, margin, seed):
    memory = seen_memory()
    generator = torch.Generator().manual_seed(seed)
    person_ids = torch.randint(-1, 4, (1 + seed % 9,), generator=generator)
    x = unit(len(person_ids), seed=seed).requires_grad_()
    loss = BatchHardTripletLoss(margin, prototypes)(memory(x), person_ids)
    want = loop_loss(memory, x, person_ids, margin, prototypes)
    torch.testing.assert_close(loss, want, rtol=1e-6, atol=1e-6)
    grads = [torch.autograd.grad(value, x)[0] for value in (loss, want)]
    torch.testing.assert_close(*grads, rtol=1e-6, atol=1e-6)


def test_people_who_are_alone_have_a_positive_in_the_memory(seen_memory, unit):
    memory = seen_memory()
    x, ids = unit(2, seed=5), torch.tensor([0, 1])
    alone = BatchHardTripletLoss(1.5, prototypes=False)(memory(x), ids)
    with_rows = BatchHardTripletLoss(1.5)(memory(x), ids)
    assert with_rows > alone


@pytest.mark.parametrize('ids', [[], [-1, -1], [2, 2, -1]])
def test_nobody_with_a_negative_is_a_zero_in_the_graph(seen_memory, unit, ids):
    x = unit(len(ids)).requires_grad_()
    loss = BatchHardTripletLoss()(
        seen_memory()(x), torch.tensor(ids, dtype=torch.long)
    )
    assert loss.item() == 0
    (grad,) = torch.autograd.grad(loss, x)
    assert not grad.any()


def test_divisor_and_weight(seen_memory, unit):
    readout, ids = seen_memory()(unit(4)), torch.tensor([0, 1, 3, -1])
    loss = BatchHardTripletLoss(1.5)(readout, ids)
    halved = BatchHardTripletLoss(1.5, loss_weight=0.5)(readout, ids)
    torch.testing.assert_close(halved, loss / 2, rtol=1e-6, atol=0)
    # Three people and three rows.
    summed = BatchHardTripletLoss(1.5)(readout, ids, avg_factor=1)
    torch.testing.assert_close(summed, loss * 6, rtol=1e-6, atol=0)


def test_single_precision_and_autocast(seen_memory, unit):
    memory, ids = seen_memory(), torch.tensor([0, 1, 3, 0])
    want = BatchHardTripletLoss(1.5)(memory(unit(4)), ids)
    x = unit(4).float()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = BatchHardTripletLoss(1.5)(memory.float()(x), ids)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got.double(), want, rtol=1e-3, atol=1e-3)


def test_refuses_ids_that_do_not_fit(seen_memory, unit):
    readout = seen_memory()(unit(2))
    with pytest.raises(ValueError, match='BatchHardTripletLoss: .*shape'):
        BatchHardTripletLoss()(readout, torch.tensor([0]))
    with pytest.raises(ValueError, match='person id 7 is outside'):
        BatchHardTripletLoss()(readout, torch.tensor([0, 7]))


def test_of_single_samples(unit):
    """The farthest of one's own, the nearest of others."""
    x = torch.eye(4, dtype=torch.float64)[[0, 0, 1, 2]]
    ids = torch.tensor([0, 1, 0, -1])
    got = batch_hard_triplet_loss(x, ids, x, ids, margin=0.25)
    root = 2**0.5
    want = [0.25 + root, 0.25 - 0, 0.25 + root - root, 0]
    want[1] = max(0.25 + 1e-6 - 1e-6, 0)
    torch.testing.assert_close(
        got, torch.tensor(want, dtype=torch.float64), atol=1e-5, rtol=0
    )

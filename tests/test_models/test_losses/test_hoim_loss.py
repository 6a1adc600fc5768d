"""Tests of HOIM's two losses against loops over samples and rows."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.losses import HOIMLoss, OIMLoss, SoftmaxFocalLoss
from mmps.models.losses.functional import person_logits, softmax_focal_loss
from mmps.models.memories import IdentityMemory


def loop_person(memory, feature, temperature):
    """p_fg of one feature: one softmax over [B | V | U]."""
    people = sum(
        ((feature * row).sum() / temperature).exp()
        for row in [*memory.prototypes, *memory.queue]
    )
    other = sum(
        ((feature * row).sum() / temperature).exp()
        for row in memory.background
    )
    return people / (people + other)


def loop_loss(memory, x, ids, temperature, alpha, gamma, scale, margin=None):
    total = x.sum() * 0
    for feature, person in zip(x, ids.tolist()):
        if person < 0:
            continue
        logits = []
        for j, row in enumerate([*memory.prototypes, *memory.queue]):
            cosine = (feature * row).sum()
            if margin and j == person and row.any():
                cosine = torch.cos(margin[0] * torch.acos(cosine) + margin[1])
            logits.append(cosine / temperature)
        p = torch.stack(logits).softmax(0)[person]
        sure = loop_person(memory, feature, temperature).detach() ** 2
        total = total - scale * sure * alpha * (1 - p) ** gamma * p.log()
    return total / max(len(ids), 1)


@pytest.mark.parametrize('margin', [None, (0.9, 0.1)])
@pytest.mark.parametrize('scale', [1.0, 2.0])
def test_value_and_gradient(seen_memory, unit, margin, scale):
    memory = seen_memory(background=5)
    ids = torch.tensor([0, 3, -1, 1, 0, 2])
    x = unit(6, seed=5).requires_grad_()
    loss = HOIMLoss(
        temperature=0.1,
        lambda_scale=scale,
        margin=margin and dict(m1=margin[0], m2=margin[1]),
    )(memory(x), ids)
    want = loop_loss(memory, x, ids, 0.1, 0.25, 2.0, scale, margin)
    torch.testing.assert_close(loss, want)
    (grad,) = torch.autograd.grad(loss, x, retain_graph=True)
    (want_grad,) = torch.autograd.grad(want, x)
    torch.testing.assert_close(grad, want_grad)


def test_gradcheck(seen_memory, unit):
    memory = seen_memory()  # lambda has no gradient, so without it
    ids = torch.tensor([0, 3, -1, 1, 0])
    assert torch.autograd.gradcheck(
        lambda x: HOIMLoss(temperature=0.1)(memory(x), ids),
        unit(5).requires_grad_(),
    )


def test_cosines_keep_their_gradient_for_other_losses(seen_memory, unit):
    x = unit(3).requires_grad_()
    readout = seen_memory(background=5)(x)
    # As on an accelerator, where no sample is left out.
    HOIMLoss(temperature=0.1).sample_losses(readout, torch.tensor([0, -1, 1]))
    (grad,) = torch.autograd.grad(readout.cosine.sum(), x)
    torch.testing.assert_close(grad, readout.rows.sum(0).expand(3, -1))
    (grad,) = torch.autograd.grad(readout.background.sum(), x)
    want = readout.background_rows.sum(0).expand(3, -1)
    torch.testing.assert_close(grad, want)


def test_lambda_has_no_gradient(seen_memory, unit):
    memory = seen_memory(background=5)
    x = unit(2).requires_grad_()
    readout = memory(x)
    loss = HOIMLoss()(readout, torch.tensor([0, 1]))
    (grad,) = torch.autograd.grad(loss, readout.background, allow_unused=True)
    assert grad is None


def test_without_focal_and_background_is_oim_over_all_samples(
    seen_memory, unit
):
    readout = seen_memory()(unit(5))
    ids = torch.tensor([0, 3, -1, 1, -1])
    loss = HOIMLoss(gamma=None)(readout, ids)
    torch.testing.assert_close(loss * 5, OIMLoss()(readout, ids) * 3)


@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_nothing_labelled(seen_memory, unit, ids):
    x = unit(len(ids)).requires_grad_()
    readout = seen_memory(background=3)(x)
    loss = HOIMLoss()(readout, torch.tensor(ids, dtype=torch.long))
    loss.backward()
    assert loss.item() == 0
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
def test_person_logits_equal_a_loop(seen_memory, unit, unfilled):
    memory = seen_memory(unfilled, background=5)
    x = unit(4, seed=7)
    readout = memory(x)
    got = person_logits(
        readout.cosine,
        readout.valid,
        readout.background,
        readout.background_valid,
        0.1,
    ).softmax(1)[:, 0]
    if unfilled == 'mask':
        memory.prototypes = memory.prototypes[memory.prototypes_filled]
        memory.queue = memory.queue[memory.queue_filled]
        memory.background = memory.background[memory.background_filled]
    want = torch.stack([loop_person(memory, feature, 0.1) for feature in x])
    torch.testing.assert_close(got, want)


def test_empty_memory_gives_the_share_of_rows(unit):
    memory = IdentityMemory(6, 8, queue_size=4, background_size=5)
    readout = memory(unit(2, dtype=torch.float32))
    logits = person_logits(
        readout.cosine,
        readout.valid,
        readout.background,
        readout.background_valid,
    )
    torch.testing.assert_close(
        logits.softmax(1)[:, 0], torch.full((2,), 10 / 15)
    )


def test_no_valid_row_is_no_nan(unit):
    memory = IdentityMemory(
        6, 8, queue_size=4, background_size=5, unfilled='mask'
    )
    x = unit(2, dtype=torch.float32).requires_grad_()
    readout = memory(x)
    loss = HOIMLoss()(readout, torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize('dtype', [torch.float64, torch.float32])
def test_softmax_focal_loss_equals_a_loop(dtype):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(6, 2, generator=generator, dtype=dtype)
    logits.requires_grad_()
    labels = torch.tensor([0, 1, 1, 0, 1, 0])
    weights = torch.tensor([1.0, 1, 0, 1, 2, 1], dtype=dtype)
    got = SoftmaxFocalLoss(loss_weight=3.0)(
        logits, labels, weights, avg_factor=5
    )
    want = 0.0
    for row, label, weight in zip(logits, labels, weights):
        p = row.softmax(0)[label]
        want = want - 0.25 * (1 - p) ** 2 * p.log() * weight
    torch.testing.assert_close(got, 3 * want / 5)
    (grad,) = torch.autograd.grad(got, logits, retain_graph=True)
    (want_grad,) = torch.autograd.grad(3 * want / 5, logits)
    torch.testing.assert_close(grad, want_grad)


def test_focal_loss_of_a_sure_sample_has_a_finite_gradient():
    ce = torch.tensor([0.0, 1e-9, 50.0], requires_grad=True)
    loss = softmax_focal_loss(ce)
    loss.sum().backward()
    assert loss[0] == 0
    assert ce.grad.isfinite().all()


def test_softmax_focal_loss_under_autocast():
    logits = torch.randn(4, 2, dtype=torch.bfloat16)
    labels = torch.tensor([0, 1, 1, 0])
    got = SoftmaxFocalLoss()(logits, labels)
    assert got.dtype == torch.float32
    p = F.softmax(logits.float(), 1)[torch.arange(4), labels]
    want = (-0.25 * (1 - p) ** 2 * p.log()).mean()
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize('gamma', [0.5, -1.0])
def test_focal_exponent_that_has_no_gradient(gamma):
    with pytest.raises(ValueError, match=f'at least 1, got {gamma}'):
        SoftmaxFocalLoss(gamma=gamma)

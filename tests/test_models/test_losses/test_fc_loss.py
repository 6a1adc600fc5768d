"""Tests of FCLoss, OIM with an angular margin, against a loop."""

import math

import pytest
import torch

from mmps.models.losses import FCLoss, OIMLoss
from mmps.models.losses.functional import angular_margin
from mmps.registry import MODELS

ARCFACE, SPHEREFACE = dict(m1=1.0, m2=0.5), dict(m1=1.35, m2=0.0)
PAPER, RELEASE = dict(m1=0.9, m2=0.1), dict(m1=0.9, m2=0.003)
MARGINS = [PAPER, RELEASE, ARCFACE, SPHEREFACE]


def loop_margin(cosine, m1, m2):
    """The target logit of one cosine, by hand."""
    theta = torch.acos(cosine)
    if m1 * float(theta.detach()) + m2 <= math.pi:
        return torch.cos(m1 * theta + m2)
    start = (math.pi - m2) / m1
    return torch.cos(theta) - math.cos(start) - 1


def loop_loss(memory, x, person_ids, m1, m2, temperature):
    rows = [*memory.prototypes, *memory.queue]
    terms = []
    for feature, person in zip(x, person_ids.tolist()):
        if person < 0:
            continue
        logits = []
        for j, row in enumerate(rows):
            cosine = (feature * row).sum()
            if j == person and row.any():
                cosine = loop_margin(cosine, m1, m2)
            logits.append(cosine / temperature)
        terms.append(torch.logsumexp(torch.stack(logits), 0) - logits[person])
    return sum(terms) / len(terms)


@pytest.mark.parametrize('margin', MARGINS)
def test_value_and_gradient(seen_memory, unit, margin):
    memory = seen_memory()
    person_ids = torch.tensor([0, 3, -1, 1, 0, 2])
    x = unit(6, seed=5).requires_grad_()
    loss = FCLoss(0.1, margin)(memory(x), person_ids)
    (grad,) = torch.autograd.grad(loss, x)
    want = loop_loss(memory, x, person_ids, **margin, temperature=0.1)
    torch.testing.assert_close(loss, want)
    (want_grad,) = torch.autograd.grad(want, x)
    torch.testing.assert_close(grad, want_grad)
    assert not grad[2].any()


@pytest.mark.parametrize('margin', MARGINS)
def test_gradcheck(seen_memory, unit, margin):
    memory = seen_memory()
    person_ids = torch.tensor([0, 3, -1, 1, 0])
    assert torch.autograd.gradcheck(
        lambda x: FCLoss(0.1, margin)(memory(x), person_ids),
        unit(5, seed=5).requires_grad_(),
    )


@pytest.mark.parametrize('margin', MARGINS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_falls_without_a_step_over_all_angles(margin, dtype):
    theta = torch.linspace(0, math.pi, 5001, dtype=dtype)
    value = angular_margin(theta.cos(), **margin)
    steps = value.diff()
    if margin['m1'] * 1e-3 + margin['m2'] > 0:
        assert (steps <= 1e-6).all()
    assert steps.abs().max() < 2e-3


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_ends_have_finite_slopes(dtype):
    cosine = torch.tensor([-1.1, -1.0, 1.0, 1.1], dtype=dtype)
    cosine.requires_grad_()
    angular_margin(cosine, 0.9, 0.1).sum().backward()
    assert cosine.grad.isfinite().all()


def test_paper_margin_eases_wide_angles_and_tightens_narrow_ones():
    cosine = torch.tensor([0.9, 0.2], dtype=torch.float64)
    eased = angular_margin(cosine, 0.9, 0.1)
    assert eased[0] < cosine[0]
    assert eased[1] > cosine[1]
    same = angular_margin(torch.tensor([math.cos(1.0)]).double(), 0.9, 0.1)
    assert float(same) == pytest.approx(math.cos(1.0))


def test_no_margin_is_oim(seen_memory, unit):
    readout = seen_memory()(unit(5))
    ids = torch.tensor([0, 3, -1, 2, 0])
    torch.testing.assert_close(
        FCLoss(margin=dict(m1=1.0, m2=0.0))(readout, ids),
        OIMLoss()(readout, ids),
        rtol=1e-6,
        atol=1e-6,
    )


def test_defaults_are_the_papers(seen_memory, unit):
    readout = seen_memory()(unit(4))
    ids = torch.tensor([0, 3, -1, 1])
    built = MODELS.build(dict(type='mmps.FCLoss'))
    want = OIMLoss(margin=PAPER)(readout, ids)
    assert torch.equal(built(readout, ids), want)


@pytest.mark.parametrize('ids', [[], [-1, -1]])
def test_nothing_labelled(seen_memory, unit, ids):
    x = unit(len(ids)).requires_grad_()
    ids = torch.tensor(ids, dtype=torch.long)
    loss = FCLoss()(seen_memory()(x), ids)
    loss.backward()
    assert loss.item() == 0
    assert not x.grad.any()


@pytest.mark.parametrize(
    'margin', [dict(m1=0.0), dict(m1=1, m2=-0.1), dict(m1=1, m2=math.pi)]
)
def test_bad_margin(margin):
    with pytest.raises(ValueError, match='FCLoss: margin needs m1 > 0'):
        FCLoss(margin=margin)

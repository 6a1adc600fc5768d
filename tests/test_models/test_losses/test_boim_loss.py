"""Tests of BOIMLoss against loops over samples and pairs of prototypes."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.losses import BOIMLoss, OIMLoss
from mmps.models.losses.functional import (
    hard_negative_loss,
    prototype_density,
)
from mmps.models.memories import IdentityMemory


def loop_density(rows, filled, alpha=None):
    """The double sum of eq. 10; the mean without alpha."""
    terms = [
        math.exp(float((a * b).sum()) + (alpha or 0))
        for i, a in enumerate(rows)
        for j, b in enumerate(rows)
        if filled[i] and filled[j]
    ]
    if not terms:
        return 1.0
    return sum(terms) if alpha is not None else sum(terms) / len(terms)


def loop_negatives(cosine, person_ids, filled, sigma, beta):
    """Eq. 9 of every sample."""
    losses = []
    for row, person in zip(cosine, person_ids.tolist()):
        total, count = row.sum() * 0, 0
        if person >= 0:
            values = row.tolist()
            least = sigma * max(values[person], 1e-6)
            for j, value in enumerate(values):
                if j != person and filled[j] and value > least:
                    total = total + (row[j] - beta).clamp(min=0)
                    count += 1
        losses.append(total / max(count, 1))
    return torch.stack(losses)


@pytest.mark.parametrize('chunk', [1, 3, 512])
@pytest.mark.parametrize('alpha', ['auto', -2.5, 0.0])
def test_density_equals_the_double_sum(unit, chunk, alpha):
    rows = unit(7)
    for filled in ([True] * 7, [True, False] * 3 + [True], [False] * 7):
        filled = torch.tensor(filled)
        got = prototype_density(rows * filled[:, None], filled, alpha, chunk)
        want = loop_density(rows, filled, None if alpha == 'auto' else alpha)
        assert float(got) == pytest.approx(want)


def test_density_of_equal_prototypes_is_e(unit):
    rows = unit(1).expand(5, -1)
    got = prototype_density(rows, torch.ones(5, dtype=torch.bool))
    assert float(got) == pytest.approx(math.e)


@given(
    person_ids=st.lists(st.integers(-1, 5), min_size=1, max_size=8),
    sigma=st.sampled_from([0.0, 0.5, 0.9]),
    beta=st.sampled_from([-1.0, 0.0, 0.3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_negatives_equal_a_loop(person_ids, sigma, beta, seed):
    generator = torch.Generator().manual_seed(seed)
    cosine = torch.rand(
        len(person_ids), 6, generator=generator, dtype=torch.float64
    )
    # Also where the own similarity is negative.
    cosine = (2 * cosine - 1).requires_grad_()
    filled = torch.rand(6, generator=generator) > 0.3
    ids = torch.tensor(person_ids)
    got = hard_negative_loss(cosine, ids, filled, sigma, beta)
    want = loop_negatives(cosine, ids, filled, sigma, beta)
    torch.testing.assert_close(got, want)
    (grad,) = torch.autograd.grad(got.sum(), cosine)
    (want_grad,) = torch.autograd.grad(want.sum(), cosine)
    torch.testing.assert_close(grad, want_grad)


def test_negative_own_similarity_makes_only_similar_ones_hard():
    cosine = torch.tensor([[-0.4, -0.3, 0.5]], dtype=torch.float64)
    filled = torch.ones(3, dtype=torch.bool)
    # Literally, v_j x / v_t x > sigma would count -0.3 and not 0.5.
    loss = hard_negative_loss(cosine, torch.tensor([0]), filled)
    assert float(loss) == pytest.approx(0.5 - 0.3)


def test_empty_hard_set_is_zero():
    cosine = torch.tensor([[0.9, 0.1, 0.2]], requires_grad=True)
    filled = torch.ones(3, dtype=torch.bool)
    loss = hard_negative_loss(cosine, torch.tensor([0]), filled)
    loss.sum().backward()
    assert loss.item() == 0
    assert not cosine.grad.any()


def test_whole_loss(seen_memory, unit):
    memory = seen_memory()
    ids = torch.tensor([0, 3, -1, 1, 0, 2])
    x = unit(6, seed=3).requires_grad_()
    readout = memory(x)
    loss = BOIMLoss(sigma=0.2, beta=0.0)(readout, ids)
    labelled = ids >= 0
    negatives = loop_negatives(
        readout.cosine[:, :4], ids, memory.prototypes_filled, 0.2, 0.0
    )
    density = loop_density(memory.prototypes, memory.prototypes_filled)
    want = (
        density * OIMLoss()(readout, ids)
        + negatives[labelled].sum() / labelled.sum()
    )
    torch.testing.assert_close(loss, want, rtol=1e-6, atol=1e-8)
    (grad,) = torch.autograd.grad(loss, x, retain_graph=True)
    (want_grad,) = torch.autograd.grad(want, x)
    torch.testing.assert_close(grad, want_grad, rtol=1e-6, atol=1e-8)


def test_gradcheck(seen_memory, unit):
    memory = seen_memory()
    ids = torch.tensor([0, 3, -1, 1, 0])
    loss = BOIMLoss(temperature=0.1, sigma=0.2, beta=-0.5)
    assert torch.autograd.gradcheck(
        lambda x: loss(memory(x), ids), unit(5).requires_grad_()
    )


def test_switches(seen_memory, unit):
    readout = seen_memory()(unit(5))
    ids = torch.tensor([0, 3, -1, 1, 0])
    oim = OIMLoss()(readout, ids)
    none = BOIMLoss(use_density=False, use_negatives=False)(readout, ids)
    torch.testing.assert_close(none, oim)
    weighted = BOIMLoss(use_negatives=False)
    value = weighted(readout, ids)
    torch.testing.assert_close(
        value, weighted.density * oim, check_dtype=False
    )
    assert value > oim


def test_weight_is_refreshed_every_few_steps(unit):
    memory = IdentityMemory(4, 8, queue_size=0)
    loss = BOIMLoss(refresh_interval=3)
    seen = []
    for step in range(7):
        x = unit(2, seed=step, dtype=torch.float32)
        loss(memory(x), torch.tensor([0, 1]))
        seen.append(float(loss.density))
        memory.update(x, torch.tensor([step % 4, (step + 1) % 4]))
    assert seen[0] == seen[1] == seen[2] == 1
    assert seen[2] != seen[3]
    assert seen[3] == seen[4] == seen[5]
    assert seen[5] != seen[6]
    # Evaluation does not count.
    loss.eval()
    loss(memory(unit(2, dtype=torch.float32)), torch.tensor([0, 1]))
    assert int(loss.steps) == 7


def test_resumes_with_weight_and_age(unit):
    def run(loss, memory, steps):
        values = []
        for step in steps:
            x = unit(3, seed=step, dtype=torch.float32)
            ids = torch.tensor([step % 4, -1, 2])
            values.append(loss(memory(x), ids).item())
            memory.update(x, ids)
        return values

    first = BOIMLoss(refresh_interval=4), IdentityMemory(4, 8, 4)
    whole = run(*first, range(11))
    again = BOIMLoss(refresh_interval=4), IdentityMemory(4, 8, 4)
    run(*again, range(6))
    states = [part.state_dict() for part in again]
    resumed = BOIMLoss(refresh_interval=4), IdentityMemory(4, 8, 4)
    # Used before, as a model that was validated before loading.
    resumed[0](resumed[1](unit(1, dtype=torch.float32)), torch.tensor([0]))
    for part, state in zip(resumed, states):
        part.load_state_dict(state)
    assert run(*resumed, range(6, 11)) == whole[6:]


def test_never_holds_a_square_matrix(monkeypatch):
    """At L = 5532 the largest product has 512 rows."""
    rows = F.normalize(torch.randn(5532, 16), dim=1)
    shapes = []
    real = torch.Tensor.__matmul__

    def spy(a, b):
        out = real(a, b)
        shapes.append(out.shape)
        return out

    monkeypatch.setattr(torch.Tensor, '__matmul__', spy)
    got = prototype_density(rows, torch.ones(5532, dtype=torch.bool))
    assert max(shape.numel() for shape in shapes) == 512 * 5532
    want = (rows.double() @ rows.double().T).exp().mean()
    assert float(got) == pytest.approx(float(want), rel=1e-5)


def test_bad_options():
    with pytest.raises(ValueError, match='refresh_interval must be at least'):
        BOIMLoss(refresh_interval=0)
    with pytest.raises(ValueError, match="a number or 'auto', got 'mean'"):
        BOIMLoss(alpha='mean')

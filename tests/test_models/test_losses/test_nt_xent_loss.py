"""NTXentLoss and its pairs against loops."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scene_loops import loss_loop, pairs_loop

from mmps.models.losses import NTXentLoss
from mmps.models.losses.functional import nt_xent, scene_pairs

OPTIONS = dict(max_examples=60, derandomize=True, deadline=None)


@given(st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 3)), max_size=9))
@settings(**OPTIONS)
def test_pairs_equal_sets_of_people(people):
    ids = [person for person, _ in people]
    owners = [owner for _, owner in people]
    got = scene_pairs(
        torch.tensor(ids, dtype=torch.long),
        torch.tensor(owners, dtype=torch.long),
        4,
    )
    want = pairs_loop(ids, owners, 4)
    for one, other in zip(got, want):
        assert one.shape == (4, len(ids))
        assert one.tolist() == other


def test_people_of_no_scene_have_no_positive_pair():
    ids, owners = torch.tensor([2, -1, -1]), torch.tensor([0, 1, -1])
    positive, _ = scene_pairs(ids, owners, 2)
    assert positive.tolist() == [[True, False, False], [False, True, False]]


@given(
    st.integers(1, 4),
    st.integers(0, 5),
    st.sampled_from([0.1, 1.0]),
    st.integers(0, 99),
)
@settings(**OPTIONS)
def test_value_and_gradient(scenes, people, temperature, seed):
    generator = torch.Generator().manual_seed(seed)
    shape = scenes, people
    x = torch.rand(shape, generator=generator, dtype=torch.float64) * 2 - 1
    kinds = torch.randint(0, 3, shape, generator=generator)
    x.requires_grad_()
    got = NTXentLoss(temperature)(x, kinds == 0, kinds == 1)
    want = loss_loop(x, kinds == 0, kinds == 1, temperature)
    torch.testing.assert_close(got, want)
    grads = [torch.autograd.grad(value, x)[0] for value in (got, want)]
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_is_not_used(dtype):
    torch.manual_seed(0)
    x = torch.randn(5, 7).to(dtype)
    kinds = torch.randint(0, 3, (5, 7))
    got = nt_xent(x, kinds == 0, kinds == 1)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, nt_xent(x.float(), kinds == 0, kinds == 1))


def test_far_apart_similarities_neither_overflow_nor_vanish():
    x = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], requires_grad=True)
    positive = torch.eye(2).bool()
    loss = NTXentLoss(1e-4)(-x, positive, ~positive)
    assert loss.item() == pytest.approx(20_000)
    loss.backward()
    assert x.grad.isfinite().all()
    assert NTXentLoss(1e-4)(x, positive, ~positive).item() == 0
    assert NTXentLoss(loss_weight=2)(
        torch.zeros(2, 2), positive, ~positive
    ).item() == pytest.approx(2 * math.log(2))


def test_temperature_has_to_be_positive():
    with pytest.raises(ValueError, match='NTXentLoss: temperature must be'):
        NTXentLoss(0)

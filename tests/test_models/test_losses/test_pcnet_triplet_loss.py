"""Tests of PCNetTripletLoss against eq. 11 written as a loop."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.losses import PCNetTripletLoss
from mmps.registry import MODELS

OPTIONS = [
    dict(metric=metric, negatives=negatives, unlabelled=unlabelled)
    for metric, negatives, unlabelled in itertools.product(
        ['euclidean', 'cosine'], ['f_prime', 'f'], ['ignore', 'shared']
    )
]


def loop_loss(f, f_prime, person_ids, margin, metric, negatives, unlabelled):
    """Eq. 11, sample by sample and negative by negative."""
    f = [row / row.norm() for row in f]
    f_prime = [row / row.norm() for row in f_prime]
    ids = person_ids.tolist()

    def distance(a, b):
        if metric == 'euclidean':
            return ((a - b) ** 2).sum()
        return -(a * b).sum()

    total = 0.0 * sum(row.sum() for row in (*f, *f_prime))
    for i, own in enumerate(ids):
        if own < 0 and unlabelled == 'ignore':
            continue
        candidates = [
            distance(f[i], (f_prime if negatives == 'f_prime' else f)[j])
            for j, other in enumerate(ids)
            if other != own and (other >= 0 or unlabelled == 'shared')
        ]
        if candidates:
            gap = distance(f[i], f_prime[i]) - min(candidates)
            total = total + max(margin + gap, 0.0 * gap)
    return total / len(ids)


def features(num, dims=6, seed=0, dtype=torch.float64):
    """Random vectors of any length."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, dims, generator=generator, dtype=torch.float64)
    return (rows * torch.linspace(0.5, 3, num)[:, None]).to(dtype)


def pair(num, seed=0, dtype=torch.float64):
    """Features after and before aggregation; they resemble each other."""
    f = features(num, seed=seed)
    f_prime = f + 0.7 * features(num, seed=seed + 1000)
    return f.to(dtype).requires_grad_(), f_prime.to(dtype).requires_grad_()


@pytest.mark.parametrize('options', OPTIONS)
@given(
    person_ids=st.lists(st.integers(-1, 3), min_size=1, max_size=10),
    margin=st.sampled_from([0.5, 0.8, 2.0]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, derandomize=True, deadline=None)
def test_value_and_gradient(options, person_ids, margin, seed):
    person_ids = torch.tensor(person_ids)
    f, f_prime = pair(len(person_ids), seed)
    loss = PCNetTripletLoss(margin, **options)(f, f_prime, person_ids)
    expected = loop_loss(f, f_prime, person_ids, margin, **options)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-12)
    grads = torch.autograd.grad(loss, (f, f_prime))
    expected_grads = torch.autograd.grad(expected, (f, f_prime))
    for grad, expected_grad in zip(grads, expected_grads):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize('options', OPTIONS)
def test_gradcheck(options):
    person_ids = torch.tensor([0, 1, 1, -1, 2, -1])
    loss = PCNetTripletLoss(2.5, **options)
    f, f_prime = pair(6, seed=3)
    assert torch.autograd.gradcheck(
        lambda f, f_prime: loss(f, f_prime, person_ids), (f, f_prime)
    )


def test_figures_by_hand():
    f = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    f_prime = torch.tensor([[0.0, 3.0], [5.0, 0.0]])
    ids = torch.tensor([4, 7])
    # Own f' at a right angle (2), the other's equal to f (0): 0.5 + 2 - 0.
    assert PCNetTripletLoss()(f, f_prime, ids).item() == pytest.approx(2.5)
    # Negatives f are at a right angle as well: the margin remains.
    loss = PCNetTripletLoss(negatives='f')(f, f_prime, ids)
    assert loss.item() == pytest.approx(0.5)


def test_cosine_margin_is_half_the_euclidean_one():
    ids = torch.tensor([0, 1, 1, 2, 0, 3])
    f, f_prime = pair(6)
    cosine = PCNetTripletLoss(0.5, metric='cosine')(f, f_prime, ids)
    euclidean = PCNetTripletLoss(1.0)(f, f_prime, ids)
    torch.testing.assert_close(2 * cosine, euclidean)


def test_length_of_the_features_does_not_matter():
    ids = torch.tensor([0, 1, 1, 2])
    f, f_prime = pair(4)
    one = PCNetTripletLoss()(f, f_prime, ids)
    other = PCNetTripletLoss()(f * 7, f_prime * 0.1, ids)
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize('ids', [[], [-1, -1, -1], [3, 3, 3], [3, -1, -1]])
def test_no_negative_is_a_zero_in_the_graph(ids):
    f, f_prime = pair(len(ids))
    loss = PCNetTripletLoss()(f, f_prime, torch.tensor(ids, dtype=torch.long))
    assert loss.item() == 0
    loss.backward()
    for tensor in (f, f_prime):
        assert tensor.grad.shape == tensor.shape
        assert not tensor.grad.any()


def test_unlabelled_people_share_one_id_by_option():
    f, f_prime = pair(3)
    ids = torch.tensor([3, -1, -1])
    loss = PCNetTripletLoss(9.0, unlabelled='shared')(f, f_prime, ids)
    assert loss.item() > 0
    alone = PCNetTripletLoss(9.0, unlabelled='shared')(
        f[1:], f_prime[1:], ids[1:]
    )
    assert alone.item() == 0


def test_large_ids_are_compared_as_integers():
    # As float32 these two are the same number.
    ids = torch.tensor([2**24, 2**24 + 1])
    assert ids.float().unique().numel() == 1
    f, f_prime = pair(2)
    loss = PCNetTripletLoss(4.5)(f, f_prime, ids)
    expected = PCNetTripletLoss(4.5)(f, f_prime, torch.tensor([0, 1]))
    assert loss.item() > 0
    assert torch.equal(loss, expected)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_low_precision_and_autocast(dtype):
    ids = torch.tensor([0, 1, 1, 2])
    f, f_prime = (t.detach() for t in pair(4, dtype=dtype))
    expected = PCNetTripletLoss()(f.float(), f_prime.float(), ids)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss = PCNetTripletLoss()(f, f_prime, ids)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)


def test_avg_factor_and_weight():
    ids = torch.tensor([0, 1, 1, 2])
    f, f_prime = pair(4)
    mean = PCNetTripletLoss(4.0)(f, f_prime, ids)
    for factor in (8, torch.tensor(8.0)):
        loss = PCNetTripletLoss(4.0, loss_weight=3.0)(f, f_prime, ids, factor)
        torch.testing.assert_close(loss, mean * 1.5, rtol=1e-6, atol=0)


@pytest.mark.parametrize('option', ['metric', 'negatives', 'unlabelled'])
def test_bad_option(option):
    with pytest.raises(ValueError, match=f'{option} must be one of'):
        PCNetTripletLoss(**{option: 'other'})


def test_bad_input():
    f, f_prime = pair(3)
    ids = torch.tensor([0, 1, 2])
    with pytest.raises(ValueError, match=r'got \(3, 6\) and \(2, 6\)'):
        PCNetTripletLoss()(f, f_prime[:2], ids)
    with pytest.raises(ValueError, match=r'shape \(3,\), got \(2,\)'):
        PCNetTripletLoss()(f, f_prime, ids[:2])
    with pytest.raises(TypeError, match='must be integers'):
        PCNetTripletLoss()(f, f_prime, ids.float())


def test_features_of_length_zero():
    f, f_prime = torch.zeros(2, 4), torch.ones(2, 4)
    f.requires_grad_()
    loss = PCNetTripletLoss()(f, f_prime, torch.tensor([0, 1]))
    loss.backward()
    assert loss.isfinite()
    assert f.grad.isfinite().all()


def test_builds_from_a_config():
    loss = MODELS.build(dict(type='mmps.PCNetTripletLoss', margin=0.8))
    assert (loss.margin, loss.metric) == (0.8, 'euclidean')
    shape = F.normalize(torch.eye(2)), torch.eye(2), torch.tensor([0, 1])
    assert loss(*shape).item() == 0

"""Tests of MutualInformationLoss against a loop over people."""

import pytest
import torch
import torch.nn.functional as F
from scipy import stats

from mmps.models.losses import MutualInformationLoss
from mmps.testing import HALF_DTYPES

DIMS = (6, 4)


def make_loss(share=1.0, dtype=torch.float32, **kwargs):
    torch.manual_seed(0)
    loss = MutualInformationLoss(DIMS, 8, embedding_share=share, **kwargs)
    return loss.to(dtype)


def branch(ids, dims, seed, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(len(ids), dims, generator=generator, dtype=dtype)
    x = F.normalize(x, dim=1).requires_grad_()
    return x, torch.tensor(ids, dtype=torch.long)


def means(x, ids, person):
    rows = [x[i] for i in range(len(x)) if ids[i] == person]
    mean = sum(rows) / len(rows)
    return mean / mean.square().sum().sqrt()


def loop_loss(loss, first, second, draws):
    """The bound of people in both branches; ``draws`` are their partners."""
    both = [
        int(i)
        for n, i in enumerate(first[1])
        if i >= 0 and i in second[1] and i not in first[1][:n]
    ]
    g = [means(*first, person) for person in both]
    h = [means(*second, person) for person in both]
    joint, apart = 0.0, 0.0
    for k, row in enumerate(draws[: len(both)]):
        joint = joint + loss.pair_score(torch.cat((g[k], h[k])))[0]
        apart = apart + loss.pair_score(torch.cat((g[k], h[row])))[0].exp()
    bound = joint / len(both) - (apart / len(both)).log()
    return -loss.loss_weight * bound


CASES = {
    'some in both': ([0, 2, 0, -1, 5, 2, 3, 0], [2, 1, 0, 0, -1, 2, 7, 5]),
    'everybody': ([1, 0], [0, 1, 1]),
    'one': ([4, -1, 4], [4]),
    'large': ([i % 9 - 1 for i in range(40)], [i % 7 for i in range(30)]),
}


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('ids', CASES.values(), ids=CASES)
def test_value_and_gradient(ids, dtype, monkeypatch):
    loss = make_loss(dtype=dtype, loss_weight=0.7)
    first = branch(ids[0], DIMS[0], 1, dtype)
    second = branch(ids[1], DIMS[1], 2, dtype)
    shared = set(ids[0]) & set(ids[1]) - {-1}
    torch.manual_seed(5)
    uniform = torch.rand(len(ids[0]))
    order = list(dict.fromkeys(i for i in ids[0] if i in shared))
    # Each person's first sample draws.
    draws = [
        int(uniform[ids[0].index(person)] * len(order)) for person in order
    ]
    drawn = iter([torch.tensor(0.5), uniform])
    monkeypatch.setattr(torch, 'rand', lambda *_, **__: next(drawn))
    found = loss(first, second)
    want = loop_loss(loss, first, second, draws)
    torch.testing.assert_close(found, want)
    inputs = [first[0], second[0], *loss.parameters()]
    for one, two in zip(
        torch.autograd.grad(found, inputs), torch.autograd.grad(want, inputs)
    ):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    'ids',
    [([], []), ([], [1]), ([1], []), ([0, 1], [2, -1]), ([-1], [-1])],
    ids=str,
)
def test_nobody_in_both_is_a_zero_in_the_graph(ids):
    loss = make_loss()
    first = branch(ids[0], DIMS[0], 1)
    second = branch(ids[1], DIMS[1], 2)
    found = loss(first, second)
    assert found.item() == 0
    inputs = [first[0], second[0], *loss.parameters()]
    for grad in torch.autograd.grad(found, inputs):
        assert not grad.any()


def test_share_of_steps_that_reach_the_embeddings():
    loss = make_loss(share=0.25)
    first = branch([0, 1, 2], DIMS[0], 1)
    second = branch([2, 1, 0], DIMS[1], 2)
    weights = list(loss.parameters())
    torch.manual_seed(0)
    reached = 0
    for _ in range(400):
        first[0].grad = second[0].grad = None
        loss.zero_grad()
        loss(first, second).backward()
        assert all(w.grad.any() for w in weights[:3])
        assert (first[0].grad is None) == (second[0].grad is None)
        reached += first[0].grad is not None
    assert stats.binomtest(reached, 400, 0.25).pvalue > 1e-3


def test_everybody_is_drawn_alike():
    """Every person in both branches, and nobody else."""
    loss = make_loss()
    first = branch([-1, 3, 3, 0, 9, 1], DIMS[0], 1)
    second = branch([0, 1, 3, 3], DIMS[1], 2)
    seen = []
    hook = loss.pair_score.register_forward_pre_hook(
        lambda _, args: seen.append(args[0])
    )
    for _ in range(300):
        loss(first, second)
    hook.remove()
    pairs = torch.stack(seen)
    # Rows of 3, 0 and 1 in the first branch.
    rows = [1, 3, 5]
    h = pairs[0, 0, rows, DIMS[0] :]
    drawn = pairs[:, 1, rows, DIMS[0] :]
    which = torch.cdist(drawn, h).argmin(2)
    torch.testing.assert_close(h[which], drawn)
    counts = torch.stack([which.flatten().eq(k).sum() for k in range(3)])
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_it_learns_what_two_embeddings_share():
    """Independent ones share nothing; equal ones much."""
    bounds = []
    for equal in (True, False):
        loss = make_loss(share=0.0, loss_weight=1.0)
        optimizer = torch.optim.Adam(loss.parameters(), 1e-2)
        generator = torch.Generator().manual_seed(4)
        ids = torch.arange(64)
        values = []
        for _ in range(150):
            x = torch.randn(64, DIMS[0], generator=generator)
            y = torch.randn(64, DIMS[1], generator=generator)
            if equal:
                y = x[:, : DIMS[1]]
            value = loss(
                (F.normalize(x, dim=1), ids), (F.normalize(y, dim=1), ids)
            )
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            values.append(-value.item())
        bounds.append(sum(values[-50:]) / 50)
    assert bounds[0] > 0.4
    assert abs(bounds[1]) < 0.1


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_half_precision(dtype):
    loss = make_loss()
    first = branch([0, 1, 2], DIMS[0], 1)
    second = branch([2, 1, 0], DIMS[1], 2)
    torch.manual_seed(1)
    want = loss(first, second)
    torch.manual_seed(1)
    with torch.autocast('cpu', dtype):
        found = loss(first, second)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, want, rtol=0.05, atol=5e-3)

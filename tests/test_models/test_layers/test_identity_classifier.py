"""Tests of the identity classifier against a loop over people."""

import math

import pytest
import torch
from torch.nn import functional as F

from mmps.models.layers import IdentityClassifier
from mmps.testing import HALF_DTYPES


def build(dtype=torch.float64, **kwargs):
    torch.manual_seed(0)
    part = IdentityClassifier(**{'max_ids': 3, 'embed_dims': 4, **kwargs}).to(
        dtype
    )
    torch.nn.init.normal_(part.fc.weight)
    torch.nn.init.uniform_(part.norm.weight, 0.5, 1.5)
    return part


def embeddings(num, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(num, 4, generator=generator, dtype=torch.float64)
    return F.normalize(x, dim=1).to(dtype)


def by_loop(part, x, person_ids):
    """Norm over all, cross-entropy over labelled people."""
    mean = sum(x) / len(x)
    variance = sum((row - mean) ** 2 for row in x) / len(x)
    terms = []
    for row, person in zip(x, person_ids.tolist()):
        if person < 0:
            continue
        unit = (row - mean) / (variance + part.norm.eps).sqrt()
        logits = part.fc.weight @ (unit * part.norm.weight)
        terms.append(logits.exp().sum().log() - logits[person])
    return part.loss_weight * sum(terms) / len(terms)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_equals_a_loop_with_its_gradient(dtype):
    part = build(dtype, loss_weight=0.5).train()
    person_ids = torch.tensor([2, -1, 0, 2, -1])
    x = embeddings(5, dtype).requires_grad_()
    got = part.loss(x, person_ids, 3)
    want = by_loop(part, x, person_ids)
    torch.testing.assert_close(got, want)
    wanted = [x, part.fc.weight, part.norm.weight]
    for a, b in zip(
        torch.autograd.grad(got, wanted), torch.autograd.grad(want, wanted)
    ):
        torch.testing.assert_close(a, b)


def test_norm_has_no_shift():
    part = build()
    assert not part.norm.bias.requires_grad
    assert not part.norm.bias.any()


@pytest.mark.parametrize('person_ids', [[], [-1], [-1, -1, -1]])
def test_nobody_labelled_is_a_zero_in_the_graph(person_ids):
    part = build().train()
    x = embeddings(len(person_ids)).requires_grad_()
    loss = part.loss(x, torch.tensor(person_ids, dtype=torch.long), 3)
    assert loss == 0
    loss.backward()
    assert not x.grad.any()
    assert part.norm.running_mean.isfinite().all()


def test_one_person_has_no_statistics():
    """Those of the batches before are taken."""
    part = build().train()
    x = embeddings(1)
    logits = part.fc.weight @ (
        x[0] / math.sqrt(1 + part.norm.eps) * part.norm.weight
    )
    want = logits.logsumexp(0) - logits[1]
    torch.testing.assert_close(part.loss(x, torch.tensor([1]), 3), want)


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_autocast_changes_nothing(dtype):
    part = build(torch.float32).train()
    x, person_ids = embeddings(5, torch.float32), torch.tensor([0, 1, 2, 1, 0])
    want = part.loss(x, person_ids, 3)
    with torch.autocast('cpu', dtype):
        assert part.loss(x, person_ids, 3) == want


def test_rows_beyond_the_people_are_not_used():
    part, whole = build(), build(max_ids=7)
    with torch.no_grad():
        whole.fc.weight[:3] = part.fc.weight
        whole.norm.load_state_dict(part.norm.state_dict())
    x, person_ids = embeddings(4), torch.tensor([0, 2, -1, 1])
    loss = whole.loss(x, person_ids, 3)
    assert loss == part.loss(x, person_ids, 3)
    loss.backward()
    assert whole.fc.weight.grad[:3].any()
    assert not whole.fc.weight.grad[3:].any()


def test_more_people_than_rows():
    with pytest.raises(
        ValueError, match='max_ids=3, but the data has 5 labelled people'
    ):
        build().loss(embeddings(2), torch.tensor([0, 1]), 5)

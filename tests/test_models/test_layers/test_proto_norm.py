"""ProtoNorm against a loop over people, and its weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mmps.models.layers.proto_norm import (
    ProtoNorm,
    has_proto_norm,
    prototype_weights,
    weighted_norms,
)


def loop(x, keys, eps=1e-5):
    """Mean of the prototypes, variance around it; -1 unlabelled."""
    prototypes = [x[i] for i, key in enumerate(keys) if key == -1]
    for key in sorted(set(keys) - {-1}):
        rows = [x[i] for i, other in enumerate(keys) if other == key]
        prototypes.append(sum(rows) / len(rows))
    axes = [0, *range(2, x.dim())]
    shape = [1, -1] + [1] * (x.dim() - 2)
    mean = torch.stack(prototypes).mean(axes)
    centred = x - mean.view(shape)
    variance = centred.square().mean(axes)
    return centred / (variance.view(shape) + eps).sqrt(), mean, variance


def weights_of(keys, num_ids=5):
    """Keys as of the loop; 'b' is background."""
    people = [i for i, key in enumerate(keys) if key != 'b']
    return prototype_weights(
        len(keys),
        torch.tensor(people, dtype=torch.long),
        torch.tensor([keys[i] for i in people], dtype=torch.long),
        num_ids,
    )


@pytest.mark.parametrize('shape', [(3,), (3, 2, 4)])
@pytest.mark.parametrize('affine', [False, True])
def test_equals_a_loop_with_gradients(shape, affine):
    torch.manual_seed(0)
    keys = [0, 0, 0, 3, -1, -1, 'b', 'b', 'b', 4]
    norm = ProtoNorm(3, affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    x = torch.randn(len(keys), *shape).double().requires_grad_()
    y = x.detach().clone().requires_grad_()
    with weighted_norms([norm], weights_of(keys)):
        got = norm(x.float())
    want, mean, variance = loop(y, [9 if k == 'b' else k for k in keys])
    if affine:
        axes = (slice(None),) + (None,) * (len(shape) - 1)
        want = want * norm.weight[axes] + norm.bias[axes]
    torch.testing.assert_close(got.double(), want, atol=1e-5, rtol=1e-5)
    direction = torch.randn_like(want)
    (got.double() * direction).sum().backward()
    (want * direction).sum().backward()
    torch.testing.assert_close(x.grad, y.grad, atol=1e-5, rtol=1e-4)

    count = want.numel() // 3
    torch.testing.assert_close(norm.running_mean.double(), 0.1 * mean)
    torch.testing.assert_close(
        norm.running_var.double(), 0.9 + 0.1 * variance * count / (count - 1)
    )
    assert int(norm.num_batches_tracked) == 1


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_statistics_are_not_rounded(dtype):
    torch.manual_seed(0)
    keys = [0, 0, 'b', -1]
    x = (100 + torch.randn(4, 3)).to(dtype)
    norm, plain = ProtoNorm(3), ProtoNorm(3)
    with (
        weighted_norms([norm, plain], weights_of(keys)),
        torch.autocast('cpu', dtype=torch.bfloat16),
    ):
        got, want = norm(x), plain(x.float())
    assert got.dtype == dtype
    torch.testing.assert_close(got, want.to(dtype))
    assert torch.equal(norm.running_mean, plain.running_mean)


def test_is_batch_norm_at_test():
    torch.manual_seed(0)
    norm, plain = ProtoNorm(3, affine=True), nn.BatchNorm2d(3)
    plain(torch.randn(8, 3, 2, 2))
    norm.load_state_dict(plain.state_dict())
    x = torch.randn(4, 3, 2, 2)
    assert torch.equal(norm.eval()(x), plain.eval()(x))


@given(st.lists(st.sampled_from([0, 1, 2, 3, 4, -1, 'b']), max_size=12))
def test_weights_are_those_of_prototypes(keys):
    weights = weights_of(keys)
    assert weights.shape == (len(keys),)
    prototypes = len(set(keys) - {-1}) + keys.count(-1)
    for key, weight in zip(keys, weights.tolist()):
        size = 1 if key == -1 else keys.count(key)
        assert weight == pytest.approx(1 / (size * prototypes))
    if keys:
        assert float(weights.sum()) == pytest.approx(1)


def test_one_person_a_sample_is_batch_norm():
    torch.manual_seed(0)
    x = torch.randn(5, 3)
    norm, plain = ProtoNorm(3), nn.BatchNorm1d(3, affine=False)
    with weighted_norms([norm], weights_of([0, 1, 2, -1, -1])):
        torch.testing.assert_close(norm(x), plain(x))
    torch.testing.assert_close(norm.running_var, plain.running_var)


def test_weights_are_given_for_a_while_only():
    norm = nn.Sequential(ProtoNorm(3))
    assert has_proto_norm([nn.Linear(1, 1), norm])
    assert not has_proto_norm([nn.BatchNorm1d(3)])
    with pytest.raises(RuntimeError, match='has to know whose samples'):
        norm(torch.ones(2, 3))
    with (
        pytest.raises(ZeroDivisionError),
        weighted_norms([norm], torch.ones(2) / 2),
    ):
        raise ZeroDivisionError
    with pytest.raises(RuntimeError, match='has to know whose samples'):
        norm(torch.ones(2, 3))


@pytest.mark.parametrize('keys', [[], [2], ['b']])
def test_too_few_values_have_no_statistics(keys):
    norm = ProtoNorm(3)
    norm.running_mean.fill_(2)
    with weighted_norms([norm], weights_of(keys)):
        got = norm(torch.ones(len(keys), 3))
    torch.testing.assert_close(got, torch.full((len(keys), 3), -1.0))
    assert norm.running_mean.tolist() == [2, 2, 2]
    assert norm.running_var.tolist() == [1, 1, 1]
    assert int(norm.num_batches_tracked) == 0

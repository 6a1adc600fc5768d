"""Tests of COAT's transformer against loops over RoIs, heads and windows."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from mmps.models.layers import occluded_attention
from mmps.models.layers.occluded_attention import (
    draw_stripe,
    exchange_stripe,
)
from mmps.registry import MODELS

SIZE = (5, 4)


def build(**kwargs):
    torch.manual_seed(0)
    options = dict(in_channels=6, out_channels=10, channels=16, num_heads=2)
    return MODELS.build(
        dict(type='mmps.OccludedAttentionTransformer', **options | kwargs)
    ).double()


def maps(num=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(num, 6, *SIZE, generator=generator).double()


def by_loop(part, x, exchange=lambda tokens: tokens):
    """Both maps, RoI by RoI, head by head and window by window."""
    before = x
    if part.before is not None:
        weight = part.before.weight[:, :, 0, 0]
        before = exchange(torch.einsum('oc,nchw->nohw', weight, x))
    reduced = torch.einsum('oc,nchw->nohw', part.reduce.weight[:, :, 0, 0], x)
    outs = []
    width = reduced.size(1) // len(part.branches)
    for i, branch in enumerate(part.branches):
        own = reduced[:, i * width : (i + 1) * width]
        kernel = branch.tokens.kernel_size[0]
        tokens = F.conv2d(
            own, branch.tokens.weight, branch.tokens.bias, padding=kernel // 2
        )
        tokens = exchange(tokens)
        outs.append(own + torch.stack([_roi(branch, t) for t in tokens]))
    out = reduced + torch.cat(outs, 1)
    return before, torch.einsum(
        'oc,nchw->nohw', part.expand.weight[:, :, 0, 0], out
    )


def _roi(branch, tokens):
    """(C', H, W) tokens of one RoI to its (C, H, W) map."""
    dims, height, width = tokens.shape
    places = list(itertools.product(range(height), range(width)))
    x = torch.stack([tokens[:, y, i] for y, i in places])
    x = F.layer_norm(x, (dims,), branch.norm1.weight, branch.norm1.bias)
    q, k, v = (x @ branch.qkv.weight.T + branch.qkv.bias).chunk(3, 1)
    heads, size = [], dims // branch.num_heads
    for h in range(branch.num_heads):
        part = slice(h * size, (h + 1) * size)
        logits = q[:, part] @ k[:, part].T / math.sqrt(size)
        heads.append(logits.softmax(1) @ v[:, part])
    attended = torch.cat(heads, 1) @ branch.proj.weight.T + branch.proj.bias
    x = x + attended
    y = F.layer_norm(x, (dims,), branch.norm2.weight, branch.norm2.bias)
    first, _, second = branch.ffn
    y = (y @ first.weight.T + first.bias).relu()
    x = x + y @ second.weight.T + second.bias
    weight, bias = branch.windows.weight, branch.window_bias[0]
    kernel = weight.size(2)
    reach = kernel // 2
    channels = weight.size(1)
    out = {place: x.new_zeros(channels) for place in places}
    for (row, column), token in zip(places, x):
        for i, j in itertools.product(range(kernel), repeat=2):
            place = (row + i - reach, column + j - reach)
            if place in out:
                out[place] = out[place] + token @ weight[:, :, i, j]
                out[place] = out[place] + bias[:, i, j]
    flat = torch.stack([out[place] for place in places], 1)
    return flat.reshape(channels, height, width)


@pytest.mark.parametrize('before', [True, False])
@pytest.mark.parametrize('kernel_sizes', [(1, 3), (3,)])
def test_equals_a_loop_with_its_gradient(before, kernel_sizes):
    part = build(before=before, kernel_sizes=kernel_sizes).eval()
    x, twin = maps().requires_grad_(), maps().requires_grad_()
    got, want = part(x), by_loop(part, twin)
    weights = [torch.randn_like(w) for w in want]
    grads = []
    for found, start in ((got, x), (want, twin)):
        total = sum((w * f).sum() for w, f in zip(weights, found))
        grads.append(torch.autograd.grad(total, [start, *part.parameters()]))
    for a, b in zip(got, want, strict=True):
        torch.testing.assert_close(a, b)
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b)


def test_before_the_transformer_are_the_features_themselves():
    part = build(before=False, exchange_width=1).train()
    x = maps()
    assert part(x)[0] is x


def test_training_exchanges_what_a_loop_exchanges(monkeypatch):
    """Tokens of all branches in one stripe, the map before in another."""
    stripes = [(2, 1, 3), (3, 0, 2)]
    order = torch.tensor([2, 0, 1])
    monkeypatch.setattr(
        occluded_attention, 'draw_stripe', lambda *_: stripes[calls.pop(0)]
    )
    monkeypatch.setattr(torch, 'randperm', lambda *_, **__: order)
    part = build(exchange_width=2).train()
    calls, used = [0, 1], iter([0, 1, 1])

    def exchange(x):
        axis, start, end = stripes[next(used)]
        out = x.clone()
        for roi, other in enumerate(order.tolist()):
            for place in range(start, end):
                if axis == 2:
                    out[roi, :, place] = x[other, :, place]
                else:
                    out[roi, :, :, place] = x[other, :, :, place]
        return out

    got = part(maps())
    for a, b in zip(got, by_loop(part, maps(), exchange), strict=True):
        torch.testing.assert_close(a, b)
    assert calls == []


def test_nothing_is_exchanged_at_test_or_without_a_width():
    exchanging, plain = build(exchange_width=2), build()
    x = maps()
    want = plain(x)
    for part in (exchanging.eval(), plain.train()):
        for a, b in zip(part(x), want):
            assert torch.equal(a, b)
    assert not torch.equal(exchanging.train()(x)[1], want[1])


@pytest.mark.parametrize(('axis', 'start', 'end'), [(2, 1, 3), (3, 0, 1)])
def test_stripes_change_hands_with_their_gradients(axis, start, end):
    order = torch.tensor([1, 2, 0])
    x, y = maps().requires_grad_(), maps() + 1
    out, other = exchange_stripe((x, y), axis, start, end, order)
    stripe = torch.zeros(3, 6, *SIZE, dtype=torch.bool)
    stripe.narrow(axis, start, end - start).fill_(True)
    assert torch.equal(out, torch.where(stripe, x[order], x))
    assert torch.equal(other, torch.where(stripe, y[order], y))
    out[0].sum().backward()
    grad = torch.zeros_like(x)
    grad[0] = (~stripe[0]).double()
    grad[1] = stripe[0].double()
    assert torch.equal(x.grad, grad)


def test_every_stripe_is_drawn_with_the_same_chance():
    torch.manual_seed(0)
    counts = {}
    for _ in range(4000):
        found = draw_stripe(SIZE, 2)
        counts[found] = counts.get(found, 0) + 1
    rows = {(2, i, i + 2) for i in range(4)}
    columns = {(3, i, i + 2) for i in range(3)}
    assert set(counts) == rows | columns
    for chosen, share in ((rows, 500), (columns, 667)):
        for stripe in chosen:
            assert abs(counts[stripe] - share) < 100
    assert draw_stripe((2, 2), 5)[1:] == (0, 2)


@pytest.mark.parametrize('num', [0, 1])
@pytest.mark.parametrize('training', [True, False])
def test_few_rois(num, training):
    part = build(exchange_width=1).train(training)
    before, after = part(maps(num).requires_grad_())
    assert before.shape == (num, 6, *SIZE)
    assert after.shape == (num, 10, *SIZE)
    (before.sum() + after.sum()).backward()
    for parameter in part.parameters():
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(channels=12), 'channels=12 .* 2 branches .* multiple of 8'),
        (dict(kernel_sizes=(1, 2)), r'must be odd, got \(1, 2\)'),
        (dict(exchange_width=-1), 'exchange_width must be 0 or more, got -1'),
    ],
)
def test_refuses_what_it_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)

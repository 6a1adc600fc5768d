"""Tests of part attention."""

import pytest
import torch

from mmps.models.layers import PartAttention
from mmps.testing import HALF_DTYPES

C, H, W = 8, 5, 7


def build(**kwargs):
    torch.manual_seed(0)
    layer = PartAttention(C, num_heads=2, num_points=3, **kwargs).double()
    layer.init_weights()
    with torch.no_grad():
        layer.sampling_offsets.weight.normal_(std=0.3)
        layer.value_proj.bias.normal_()
    return layer


def inputs():
    generator = torch.Generator().manual_seed(1)

    def draw(*shape):
        return torch.rand(shape, generator=generator, dtype=torch.float64)

    query = draw(2, 4, C) - 0.5
    level = draw(2, C, H, W) - 0.5
    centres, sizes = draw(2, 4, 2), draw(2, 4, 2)
    return query, level, torch.cat((centres, sizes), -1)


def read(values, x, y):
    """Bilinear value of a (c, H, W) map at cells; zero outside."""
    total = 0
    left, top = int(torch.floor(x)), int(torch.floor(y))
    for col in (left, left + 1):
        for row in (top, top + 1):
            if 0 <= col < W and 0 <= row < H:
                share = (1 - (x - col).abs()) * (1 - (y - row).abs())
                total = total + share * values[:, row, col]
    return total if torch.is_tensor(total) else values.new_zeros(len(values))


def by_loops(layer, query, level, boxes, mask):
    heads, points, dims = 2, 3, C // 2
    out = []
    for n in range(len(query)):
        values = layer.value_proj(level[n].flatten(1).T)
        if mask is not None:
            values = values * ~mask[n][:, None]
        values = values.T.view(heads, dims, H, W)
        rows = []
        for q in range(query.size(1)):
            offsets = layer.sampling_offsets(query[n, q])
            offsets = offsets.view(heads, points, 2)
            cx, cy, w, h = boxes[n, q]
            parts = []
            for head in range(heads):
                tokens = []
                for point in range(points):
                    dx, dy = offsets[head, point]
                    x = (cx + dx * w / points / 2) * W - 0.5
                    y = (cy + dy * h / points / 2) * H - 0.5
                    tokens.append(read(values[head], x, y))
                mean = sum(tokens) / points
                tokens = [mean, *tokens]
                logits = torch.stack([mean @ t for t in tokens])
                shares = (logits / dims**0.5).softmax(0)
                parts.append(sum(s * t for s, t in zip(shares, tokens)))
            rows.append(torch.cat(parts))
        out.append(torch.stack(rows))
    return torch.stack(out)


@pytest.mark.parametrize('masked', [False, True])
def test_equals_loops(masked):
    layer = build()
    query, level, boxes = inputs()
    for x in (query, level):
        x.requires_grad_()
    mask = None
    if masked:
        mask = torch.zeros(2, H, W, dtype=torch.bool)
        mask[1, :, 5:] = True
        mask = mask.flatten(1)
    out = layer(query, level, boxes, mask)
    want = by_loops(layer, query, level, boxes, mask)
    torch.testing.assert_close(out, want)
    probe = torch.rand_like(out)
    leaves = [query, level, *layer.parameters()]
    found = torch.autograd.grad((out * probe).sum(), leaves)
    wanted = torch.autograd.grad((want * probe).sum(), leaves)
    for one, two in zip(found, wanted):
        torch.testing.assert_close(one, two)


def test_padding_is_not_read():
    layer = build()
    query, level, boxes = inputs()
    mask = torch.zeros(2, H, W, dtype=torch.bool)
    mask[:, 3:] = True
    mask = mask.flatten(1)
    out = layer(query, level, boxes, mask)
    level[:, :, 3:] = 100
    torch.testing.assert_close(layer(query, level, boxes, mask), out)


def test_start_of_the_points():
    """One behind the other, as far as the edge of the box."""
    layer = PartAttention(C, num_heads=4, num_points=3)
    layer.init_weights()
    bound = (6 / (C + 24)) ** 0.5  # Xavier's
    drawn = layer.sampling_offsets.weight.abs()
    assert 0.9 * bound < drawn.max() <= bound
    points = layer.sampling_offsets.bias.view(4, 3, 2)
    ways = torch.tensor([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    steps = torch.arange(1.0, 4)[:, None]
    torch.testing.assert_close(
        points, ways[:, None] * steps, atol=1e-6, rtol=0
    )


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_places_under_autocast(dtype):
    """A half precision would move points by cells of a large map."""
    layer = PartAttention(C, num_heads=2)
    layer.init_weights()
    query = torch.randn(1, 1, C)
    level = torch.zeros(1, C, 4, 1000)
    level[..., 701:] = 1
    left, right = (
        torch.tensor([[[x, 0.5, 1e-3, 0.5]]]) for x in (0.6995, 0.7025)
    )
    with torch.autocast('cpu', dtype=dtype):
        outs = [layer(query, level, box) for box in (left, right)]
    bias_only = layer(query, 0 * level, left)
    torch.testing.assert_close(outs[0], bias_only, atol=0.02, rtol=0)
    assert (outs[1] - outs[0]).abs().max() > 0.1
    assert outs[0].dtype == torch.float32


def test_heads_must_share_the_channels():
    with pytest.raises(ValueError, match='3 heads cannot share 8 channels'):
        PartAttention(8, num_heads=3)

"""Tests of projection and uncertainty guidance."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.layers import LinearProjection, UncertaintyGuidance


def levels(num=6, seed=0, size=None):
    generator = torch.Generator().manual_seed(seed)
    shape = size or ()
    return [
        torch.randn(num, channels, *shape, generator=generator)
        for channels in (3, 5, 4)
    ]


def test_two_levels_side_by_side():
    torch.manual_seed(0)
    projection = LinearProjection([5, 4], 8)
    projection.init_weights()
    x = levels()
    got = projection(x)
    parts = []
    for conv, norm, level in zip(projection.levels, projection.norms, x[1:]):
        out = level @ conv.weight[:, :, 0, 0].T
        out = (out - out.mean(0)) / (
            out.var(0, correction=0) + norm.eps
        ).sqrt()
        parts.append(out * norm.weight + norm.bias)
    torch.testing.assert_close(got, torch.cat(parts, 1), atol=1e-6, rtol=1e-4)
    assert got.shape == (6, 8)


def test_reads_the_last_levels():
    projection = LinearProjection(4, 8, norm=False)
    x = levels()
    torch.testing.assert_close(projection(x), projection(x[-1:]))


def test_maps_are_projected_position_by_position():
    projection = LinearProjection(4, 8).eval()
    (x,) = levels(size=(3, 2))[-1:]
    got = projection([x])
    assert got.shape == (6, 8, 3, 2)
    for h in range(3):
        for w in range(2):
            torch.testing.assert_close(
                got[:, :, h, w], projection([x[:, :, h, w]])
            )


def test_larger_maps_are_resized_to_the_last_one():
    """Halving 2 x 2 blocks of pixels is their mean."""
    projection = LinearProjection([5, 4], 8).eval()
    x = levels(size=(6, 4))[1], levels(size=(3, 2))[2]
    with torch.no_grad():
        got = projection(x)
        large = projection.norms[0](projection.levels[0](x[0]))
        small = projection.norms[1](projection.levels[1](x[1]))
    want = torch.zeros(6, 4, 3, 2)
    for h in range(3):
        for w in range(2):
            block = large[:, :, 2 * h : 2 * h + 2, 2 * w : 2 * w + 2]
            want[:, :, h, w] = block.flatten(2).mean(2)
    torch.testing.assert_close(got, torch.cat((want, small), 1))


@pytest.mark.parametrize('init_std', [0.01, None])
def test_starts_as_published(init_std):
    torch.manual_seed(0)
    projection = LinearProjection([300, 400], 400, init_std=init_std)
    projection.init_weights()
    for conv, norm in zip(projection.levels, projection.norms):
        assert conv.weight.std().item() == pytest.approx(0.01, rel=0.1)
        if init_std:
            assert norm.weight.std().item() == pytest.approx(0.01, rel=0.2)
        else:
            assert norm.weight.eq(1).all()


def test_sizes_have_to_fit():
    with pytest.raises(ValueError, match='embed_dims=9 cannot be shared out'):
        LinearProjection([3, 4], 9)
    with pytest.raises(ValueError, match='reads 2 levels, got 1'):
        LinearProjection([3, 4], 8)(levels()[-1:])


@pytest.mark.parametrize('num', [0, 1])
def test_too_few_rois_for_batch_norm(num):
    projection = LinearProjection(4, 8)
    before = projection.norms[0].running_mean.clone()
    assert projection(levels(num)).shape == (num, 8)
    assert torch.equal(projection.norms[0].running_mean, before)


def test_samples_have_the_variance_that_is_asked_for():
    """Around the unit embedding times sqrt(D)."""
    torch.manual_seed(0)
    unit = torch.tensor([[0.6, -0.8]]).expand(20000, 2)
    log_variance = torch.tensor([[0.0, 2.0]]).expand(20000, 2)
    z = UncertaintyGuidance().sample(unit, log_variance)
    torch.testing.assert_close(z.mean(0), 2**0.5 * unit[0], atol=0.05, rtol=0)
    torch.testing.assert_close(
        z.var(0).log(), log_variance[0], atol=0.05, rtol=0
    )


def test_gradient_reaches_mean_and_variance():
    unit = torch.zeros(3, 4, requires_grad=True)
    log_variance = torch.zeros(3, 4, requires_grad=True)
    z = UncertaintyGuidance().sample(unit, log_variance)
    z.square().sum().backward()
    eps = z.detach()
    torch.testing.assert_close(unit.grad, 2 * 2 * eps)
    torch.testing.assert_close(log_variance.grad, eps * eps)


def test_divergence_equals_a_loop_over_dimensions():
    unit = F.normalize(levels()[1], dim=1).double()
    log_variance = levels(seed=1)[1].double().requires_grad_()
    total = 0
    for mu, s in zip(5**0.5 * unit, log_variance):
        for m, v in zip(mu, s):
            total = total + (m * m + v.exp() - v - 1) / 2
    want = 0.01 * total / len(unit)
    got = UncertaintyGuidance().divergence(unit, log_variance)
    torch.testing.assert_close(got.double(), want, rtol=1e-6, atol=0)
    torch.testing.assert_close(
        *(torch.autograd.grad(v, log_variance)[0] for v in (got, want)),
        rtol=1e-5, atol=1e-7,
    )  # fmt: skip


def test_variance_starts_where_it_is_told():
    guidance = UncertaintyGuidance([5, 4], 8, init_log_variance=-3.0)
    guidance.init_weights()
    value = guidance(levels())
    assert value.dtype == torch.float32
    torch.testing.assert_close(
        value, torch.full_like(value, -3.0), atol=0.1, rtol=0
    )


def test_bad_mode():
    with pytest.raises(ValueError, match="'sample' or 'attenuate', got 'x'"):
        UncertaintyGuidance(mode='x')


def test_without_norm():
    torch.manual_seed(0)
    projection = LinearProjection([4], 8, norm=False)
    projection.levels[0].bias.data.fill_(1.0)
    projection.init_weights()
    assert not projection.levels[0].bias.any()
    (x,) = levels()[2:]
    want = x @ projection.levels[0].weight[:, :, 0, 0].T
    torch.testing.assert_close(projection([x]), want)

"""Tests of CSA and of RoIAlign in its place, against loops."""

import pytest
import torch
from mmcv.ops import roi_align

from mmps.models.layers import CrossScaleAggregation, RoIAlignAggregation
from mmps.testing import DispatchedOperators

STRIDES = (8, 16)


def inputs(dtype=torch.float32, requires_grad=False):
    torch.manual_seed(0)
    feats = [
        torch.randn(2, 4, 8, 6, dtype=dtype),
        torch.randn(2, 4, 4, 3, dtype=dtype),
    ]
    boxes = [
        # The last box lies between all centres: no candidate.
        torch.tensor([[4.0, 4.0, 40.0, 60.0], [5.0, 5.0, 7.0, 7.0]]),
        torch.tensor([[0.0, 0.0, 13.0, 13.0]]),
    ]
    own = [torch.randn(2, 4, dtype=dtype), torch.randn(1, 4, dtype=dtype)]
    if requires_grad:
        for t in (*feats, *own):
            t.requires_grad_()
    return own, [b.to(dtype) for b in boxes], feats


def loop(csa, own, boxes, feats):
    """Eq. 8 to 10, one box and one location at a time."""
    results = []
    for i, (fs, bs) in enumerate(zip(own, boxes)):
        rows = []
        for f, (x1, y1, x2, y2) in zip(fs, bs.tolist()):
            keys = []
            for level, (feat, stride) in enumerate(zip(feats, STRIDES)):
                for row in range(feat.size(2)):
                    for col in range(feat.size(3)):
                        x, y = (col + 0.5) * stride, (row + 0.5) * stride
                        if x1 < x < x2 and y1 < y < y2:
                            keys.append((level, feat[i, :, row, col]))
            if keys:
                logits = []
                for level, key in keys:
                    if csa.level_scale is not None:
                        key = key * csa.level_scale[level]
                    logit = csa.phi(key) @ csa.psi(f)
                    if csa.logit_clamp is not None:
                        logit = logit.clamp(-csa.logit_clamp, csa.logit_clamp)
                    logits.append(logit)
                weights = torch.stack(logits).softmax(0)
                f = f + sum(w * key for w, (_, key) in zip(weights, keys))
            rows.append(f)
        results.append(torch.stack(rows))
    return results


@pytest.mark.parametrize(
    'options',
    [{}, dict(level_scale=True), dict(logit_clamp=0.3)],
    ids=['paper', 'level_scale', 'clamp'],
)
def test_csa_equals_a_loop_in_values_and_gradients(options):
    own, boxes, feats = inputs(torch.float64, requires_grad=True)
    csa = CrossScaleAggregation(4, STRIDES, **options).double()
    if csa.level_scale is not None:
        csa.level_scale.data = torch.tensor([0.5, 2.0], dtype=torch.float64)
    leaves = [*own, *feats, *csa.parameters()]
    got = csa(own, boxes, feats)
    want = loop(csa, own, boxes, feats)
    grads = []
    for results in (got, want):
        total = sum((r * r.detach().cos()).sum() for r in results)
        grads.append(torch.autograd.grad(total, leaves, retain_graph=True))
    for one, two in zip(got, want):
        torch.testing.assert_close(one.double(), two, atol=1e-5, rtol=1e-5)
    for one, two in zip(*grads):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)


def test_a_box_without_locations_keeps_its_own_feature():
    own, boxes, feats = inputs(requires_grad=True)
    csa = CrossScaleAggregation(4, STRIDES)
    result = csa(own, boxes, feats)
    torch.testing.assert_close(result[0][1], own[0][1])
    torch.autograd.backward(result[0][1].sum())
    assert torch.isfinite(own[0].grad).all()
    assert not any(p.grad.isnan().any() for p in csa.parameters())


def test_locations_on_the_border_are_outside():
    csa = CrossScaleAggregation(4, STRIDES)
    own, _, feats = inputs()
    # Centres of stride 8 lie at 4, 12, ...: only (12, 12) is inside, and of
    # stride 16 the centre 8 lies on the left and upper border.
    boxes = [torch.tensor([[8.0, 8.0, 20.0, 20.0]] * 2), torch.zeros(1, 4)]
    result = csa(own, boxes, feats)
    want = own[0] + feats[0][0, :, 1, 1]
    torch.testing.assert_close(result[0], want)


def test_image_without_boxes():
    csa = CrossScaleAggregation(4, STRIDES)
    _, _, feats = inputs()
    nothing = [torch.zeros(0, 4), torch.zeros(0, 4)]
    assert [r.shape for r in csa(nothing, nothing, feats)] == [(0, 4)] * 2


def test_autocast_keeps_result_in_fp32():
    own, boxes, feats = inputs()
    csa = CrossScaleAggregation(4, STRIDES)
    want = csa(own, boxes, feats)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = csa(own, boxes, feats)
    for one, two in zip(got, want):
        assert one.dtype == torch.float32
        # Its own products are not rounded; the maps may be.
        torch.testing.assert_close(one, two, atol=1e-6, rtol=1e-6)


def test_waits_once_for_all_images(monkeypatch):
    own, boxes, feats = inputs()
    csa = CrossScaleAggregation(4, STRIDES)
    asked = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(
        torch.Tensor, 'tolist', lambda t: asked.append(t) or tolist(t)
    )
    with DispatchedOperators() as operators:
        csa(own, boxes, feats)
    assert operators.waits + len(asked) == 1


def test_level_count_is_checked():
    own, boxes, feats = inputs()
    with pytest.raises(ValueError, match='2 strides and got 1 levels'):
        CrossScaleAggregation(4, STRIDES)(own, boxes, feats[:1])


def test_roi_align_aggregation_sums_convolved_crops():
    own, boxes, feats = inputs()
    module = RoIAlignAggregation(4, STRIDES, output_size=3)
    got = module(own, boxes, feats)
    for i, bs in enumerate(boxes):
        for j, box in enumerate(bs):
            want = 0
            for feat, stride in zip(feats, STRIDES):
                crop = roi_align(
                    feat[i : i + 1],
                    torch.cat((torch.zeros(1), box))[None],
                    (3, 3),
                    1 / stride,
                    2,
                    'avg',
                    True,
                )
                want = want + module.conv(crop).mean((2, 3))[0]
            torch.testing.assert_close(got[i][j], want, atol=1e-5, rtol=1e-4)

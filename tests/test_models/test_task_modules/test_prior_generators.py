"""Anchors against those of the frameworks that they are named after."""

import pytest
import torch
from mmdet.models.task_modules import AnchorGenerator

from mmps.registry import TASK_UTILS


def test_torchvision_rounds_corners():
    """The 15 anchors of torchvision 0.4 for sizes 32 to 512, by hand."""
    generator = TASK_UTILS.build(
        dict(
            type='mmps.TorchvisionAnchorGenerator',
            scales=[2, 4, 8, 16, 32],
            ratios=[0.5, 1.0, 2.0],
            strides=[16],
        )
    )
    (base,) = generator.base_anchors
    want = []
    for ratio in (0.5, 1.0, 2.0):
        for size in (32, 64, 128, 256, 512):
            half = size / ratio**0.5 / 2, size * ratio**0.5 / 2
            x, y = (round(side) for side in half)  # half to even
            want.append([-x, -y, x, y])
    assert base.tolist() == want
    (grid,) = generator.grid_priors([(2, 3)], device='cpu')
    shift = torch.tensor([32.0, 16, 32, 16])
    torch.testing.assert_close(grid[-15:], base + shift)


STRIDES = [8, 16, 32, 64, 128]


def generator(**kwargs):
    options = dict(strides=STRIDES, center_offset=0.5, **kwargs)
    return TASK_UTILS.build(
        dict(type='mmps.DetectronAnchorGenerator', **options)
    )


def detectron(base, scales, ratios):
    """With x2 and y2 of the last pixel, step by step as published."""
    anchors = []
    centre = (base - 1) / 2
    for ratio in ratios:
        width = round((base * base / ratio) ** 0.5)
        height = round(width * ratio)
        for scale in scales:
            half_w = (width * scale - 1) / 2
            half_h = (height * scale - 1) / 2
            anchors.append(
                [
                    centre - half_w,
                    centre - half_h,
                    centre + half_w,
                    centre + half_h,
                ]
            )
    return torch.tensor(anchors)


@pytest.mark.parametrize('ratios', [[2.0], [1.0, 2.0], [0.5, 1.0, 2.6]])
@pytest.mark.parametrize('per_octave', [1, 2, 3])
def test_anchors_are_those_of_detectron(ratios, per_octave):
    got = generator(
        octave_base_scale=4, scales_per_octave=per_octave, ratios=ratios
    )
    scales = [4 * 2 ** (i / per_octave) for i in range(per_octave)]
    for stride, anchors in zip(STRIDES, got.base_anchors, strict=True):
        inclusive = anchors - torch.tensor([0, 0, 1, 1])
        want = detectron(stride, scales, ratios)
        torch.testing.assert_close(inclusive, want, atol=1e-4, rtol=0)


def test_anchors_of_pcnets_release():
    """The values that its code has."""
    (first, *_), *_, (last, *_) = generator(
        scales=[4], ratios=[2.0]
    ).base_anchors
    assert first.tolist() == [-8, -20, 16, 28]
    assert last.tolist() == [-118, -300, 246, 428]
    sides = [
        (a[0, 2:] - a[0, :2]).tolist()
        for a in generator(scales=[4], ratios=[2.0]).base_anchors
    ]
    assert sides == [[24, 48], [44, 88], [92, 184], [180, 360], [364, 728]]
    four = generator(
        octave_base_scale=4, scales_per_octave=2, ratios=[1.0, 2.0]
    ).base_anchors[1]
    torch.testing.assert_close(
        four[1:3] - torch.tensor([0, 0, 1, 1]),
        torch.tensor(
            [
                [-37.25483322, -37.25483322, 52.25483322, 52.25483322],
                [-14.0, -36.0, 29.0, 51.0],
            ]
        ),
    )


@pytest.mark.parametrize('scale_major', [True, False])
def test_order_and_centres_are_mmdets(scale_major):
    """Where nothing is rounded both are alike."""
    options = dict(
        strides=[16], scales=[2, 4], ratios=[0.25, 1.0, 4.0],
        scale_major=scale_major,
    )  # fmt: skip
    for place in (dict(center_offset=0.3), dict(centers=[(1.0, 5.0)])):
        plain = AnchorGenerator(**options, **place)
        rounded = TASK_UTILS.build(
            dict(type='mmps.DetectronAnchorGenerator', **options, **place)
        )
        torch.testing.assert_close(rounded.base_anchors, plain.base_anchors)

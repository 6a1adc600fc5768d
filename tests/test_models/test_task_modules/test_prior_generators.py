"""Anchors against those of the frameworks that they are named after."""

import torch

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

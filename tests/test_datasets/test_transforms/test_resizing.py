"""Resizing against torch's own interpolation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mmps.registry import TRANSFORMS


def resized(image, scale=(1500, 900), **fields):
    transform = TRANSFORMS.build(
        dict(type='mmps.TorchvisionResize', scale=scale)
    )
    return transform(dict(img=image, **fields))


@pytest.mark.parametrize(
    ('before', 'after'),
    [
        ((1080, 1920), (843, 1500)),  # mmdet has 844
        ((576, 720), (900, 1125)),
        ((500, 800), (900, 1440)),
        ((800, 600), (1200, 900)),
    ],
)
def test_sizes(before, after):
    assert resized(np.zeros((*before, 3), np.uint8))['img_shape'] == after


@given(
    st.tuples(st.integers(4, 60), st.integers(4, 60)),
    st.sampled_from([(64, 40), (30, 20)]),
)
def test_pixels_are_those_of_interpolate(size, scale):
    rng = np.random.default_rng(sum(size))
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    found = resized(image, scale)
    height, width = found['img_shape']
    assert max(height, width) <= scale[0]
    assert min(height, width) <= scale[1]
    want = F.interpolate(
        torch.from_numpy(image).permute(2, 0, 1)[None].float(),
        size=(height, width),
        mode='bilinear',
        align_corners=False,
    )
    assert found['img'].dtype == np.float32
    np.testing.assert_allclose(
        found['img'], want[0].permute(1, 2, 0), atol=0.02
    )
    assert found['scale_factor'] == (width / size[1], height / size[0])

"""Resizing against other frameworks: torch's interpolation, pillow's."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given
from hypothesis import strategies as st
from mmdet.structures.bbox import HorizontalBoxes
from PIL import Image

from mmps.datasets.transforms import ShortEdgeResize
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
@example((12, 1900), (1500, 30))  # OpenCV's pixels differ by .006
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
        found['img'], want[0].permute(1, 2, 0), atol=1e-4
    )
    assert found['scale_factor'] == (width / size[1], height / size[0])


def test_pixels_in_double_precision():
    """As the default of torch is; and then they are OpenCV's."""
    image = np.arange(12 * 1900 * 3, dtype=np.uint32).reshape(12, 1900, 3)
    image = (image * 2654435761 >> 7).astype(np.uint8)
    torch.set_default_dtype(torch.double)
    try:
        found = resized(image, (1500, 30))
    finally:
        torch.set_default_dtype(torch.float)
    assert found['img'].dtype == np.float64
    want = cv2.resize(image.astype(np.float64), found['img'].shape[1::-1])
    np.testing.assert_allclose(found['img'], want, atol=1e-4)


def published_size(width, height, short, long):
    """Step by step."""
    if max(width, height) / min(width, height) * short > long:
        short = int(round(long * min(width, height) / max(width, height)))
    if width < height:
        return short, int(short * height / width)
    return int(short * width / height), short


@pytest.mark.parametrize('scale', [(1500, 900), (800, 1333), (500, 288)])
def test_sizes_are_those_published(scale):
    resize = ShortEdgeResize(scale)
    rng = np.random.default_rng(0)
    sizes = [(1920, 1080), (720, 576), (600, 800), (900, 900)]
    sizes += rng.integers(100, 2000, (200, 2)).tolist()
    for width, height in sizes:
        want = published_size(width, height, min(scale), max(scale))
        assert resize._size(width, height) == want
    # Where mmdet has 1125 x 844 and 1500 x 844.
    resize = ShortEdgeResize((1500, 900))
    assert resize._size(801, 600) == (1201, 900)
    assert resize._size(1920, 1080) == (1500, 844)


def test_pixels_are_pillows_and_boxes_follow():
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (61, 47, 3), dtype=np.uint8)
    boxes = np.array([[4.0, 6.0, 40.0, 60.0]])
    got = ShortEdgeResize((40, 23)).transform(
        dict(img=image, gt_bboxes=HorizontalBoxes(boxes))
    )
    want = Image.fromarray(image).resize((23, 29), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(got['img'], np.array(want))
    assert got['img_shape'] == (29, 23)
    assert got['scale_factor'] == (23 / 47, 29 / 61)
    factors = [23 / 47, 29 / 61] * 2
    np.testing.assert_allclose(
        got['gt_bboxes'].numpy(), boxes * factors, rtol=1e-6
    )
    sampled = ShortEdgeResize((40, 23), backend='cv2').transform(
        dict(img=image)
    )
    assert sampled['img'].shape == got['img'].shape
    assert (sampled['img'] != got['img']).any()


def test_one_of_several_scales():
    choice = TRANSFORMS.build(
        dict(
            type='RandomChoiceResize',
            resize_type='mmps.ShortEdgeResize',
            scales=[(60, 20), (60, 30)],
        )
    )
    image = np.zeros((50, 71, 3), np.uint8)
    sizes = {choice(dict(img=image))['img_shape'] for _ in range(30)}
    assert sizes == {(20, 28), (30, 42)}

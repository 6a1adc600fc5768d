"""Tests of mmcv's RoIAlign on maps of any dtype and memory order."""

import pytest
import torch
from mmcv.ops import RoIAlign

from mmps.models.layers.aggregation import RoIAlignAggregation
from mmps.models.roi_heads import AttentiveRoIExtractor
from mmps.models.utils import for_roi_align, run_roi_align
from mmps.registry import MODELS

ROIS = torch.tensor([[0, 5, 5, 60, 90.0], [1, 10, 20, 100, 110]])


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.randn(2, 8, 16, 24)


def channels_last(x):
    return x.contiguous(memory_format=torch.channels_last)


def test_memory_order_and_dtype(x):
    """Alone, the operator mixes up channels and places."""
    align = RoIAlign(7, 1 / 8, 2)
    want = align(x, ROIS)
    assert (align(channels_last(x), ROIS) - want).abs().max() > 0.5
    torch.testing.assert_close(
        align(for_roi_align(channels_last(x)), ROIS), want, rtol=0, atol=0
    )
    assert for_roi_align(x) is x
    assert for_roi_align(x.bfloat16()).dtype == torch.float32
    assert for_roi_align(x.half()).dtype == torch.float32


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_large_people_keep_their_level(dtype):
    """Their areas are above what fp16 holds."""
    extractor = MODELS.build(
        dict(
            type='mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=1, sampling_ratio=2),
            out_channels=1,
            featmap_strides=[4, 8, 16, 32],
        )
    )
    sides = torch.tensor([60.0, 120, 250, 330, 500])
    rois = torch.zeros(5, 5)
    rois[:, 3:] = sides[:, None]
    levels = [
        torch.full((1, 1, 512 // s, 512 // s), i, dtype=dtype)
        for i, s in enumerate((4, 8, 16, 32))
    ]
    found = extractor([for_roi_align(level) for level in levels], rois)
    assert found.flatten().tolist() == [0, 1, 2, 2, 3]


def test_gradient(x):
    align = RoIAlign(7, 1 / 8, 2)
    grads = []
    for one in (x, channels_last(x)):
        one = one.requires_grad_()
        align(for_roi_align(one), ROIS).square().sum().backward()
        grads.append(one.grad)
    torch.testing.assert_close(grads[1], grads[0])


def test_parts_with_their_own_roi_align(x):
    extractor = AttentiveRoIExtractor(
        dict(type='RoIAlign', output_size=8, sampling_ratio=2),
        out_channels=8,
        featmap_strides=[8],
    )
    aggregation = RoIAlignAggregation(channels=8, strides=[8])
    own, boxes = torch.zeros(1, 8), ROIS[:1, 1:]
    with torch.no_grad():
        for call in (
            lambda f: extractor([f], ROIS),
            lambda f: aggregation([own, own], [boxes, boxes], [f])[1],
        ):
            torch.testing.assert_close(call(channels_last(x)), call(x))


def test_no_launch_without_rois(x, monkeypatch):
    """CUDA refuses an empty launch; the results stay in the graph."""
    extractor = AttentiveRoIExtractor(
        dict(type='RoIAlign', output_size=8, sampling_ratio=2),
        out_channels=8,
        featmap_strides=[8],
        bottleneck=False,
    )
    aggregation = RoIAlignAggregation(channels=8, strides=[8])

    def launch(self, *args):
        raise AssertionError('launched')

    monkeypatch.setattr(RoIAlign, 'forward', launch)
    x.requires_grad_()
    none = ROIS[:0]
    maps = extractor([x.bfloat16()], none)
    own = torch.zeros(0, 8)
    pooled = aggregation([own, own], [none[:, 1:], none[:, 1:]], [x])
    assert maps.shape == (0, 8, 8, 8)
    assert [p.shape for p in pooled] == [(0, 8), (0, 8)]
    assert {maps.dtype, pooled[0].dtype} == {torch.float32}
    for result in (maps, pooled[1]):
        x.grad = None
        result.sum().backward()
        assert torch.equal(x.grad, torch.zeros_like(x))
    with pytest.raises(AssertionError, match='launched'):
        extractor([x], ROIS)


@pytest.mark.gpu
@pytest.mark.parametrize('num', [0, 2])
def test_roi_align_on_a_gpu(x, num):
    align = RoIAlign(7, 1 / 8, 2)
    want = run_roi_align(align, x, ROIS[:num])
    got = run_roi_align(align, x.cuda().bfloat16(), ROIS[:num].cuda())
    torch.testing.assert_close(got.cpu(), want, rtol=0.02, atol=0.02)

"""Tests of ShallowFusion and its RoI extractor against plain formulas."""

import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign

from mmps.registry import MODELS


def levels(num=2):
    generator = torch.Generator().manual_seed(0)
    shapes = [(8, 32, 40), (16, 16, 20), (32, 8, 10)]
    return [torch.randn(num, *shape, generator=generator) for shape in shapes]


def neck(**kwargs):
    torch.manual_seed(0)
    module = MODELS.build(
        dict(
            type='mmps.ShallowFusion',
            in_channels=[8, 16],
            out_channels=4,
            **kwargs,
        )
    )
    module.eval()
    return module


def test_own_level_comes_first_and_is_not_touched():
    x = levels()
    module = neck()
    out = module(x)
    assert len(out) == 3
    assert out[0] is x[-1]
    for conv, given, got in zip(module.lateral, x, out[1:]):
        want = F.conv2d(given, conv.conv.weight) / (1 + conv.bn.eps) ** 0.5
        torch.testing.assert_close(got, want)


def test_pyramid_of_the_detector_comes_first():
    fpn = dict(
        type='mmdet.FPN', in_channels=[8, 16, 32], out_channels=6, num_outs=4
    )
    module = neck(neck=fpn)
    x = levels()
    out = module(x)
    assert [tuple(t.shape[1:]) for t in out] == [
        (6, 32, 40),
        (6, 16, 20),
        (6, 8, 10),
        (6, 4, 5),
        (4, 32, 40),
        (4, 16, 20),
    ]
    for got, want in zip(out, module.neck(x)):
        assert torch.equal(got, want)


def test_levels_fused_into_one_map():
    module = neck(fuse='map')
    x = levels()
    own, fused = module(x)
    assert own is x[-1]
    assert fused.shape == (2, 4, 16, 20)
    maps = [conv(level) for conv, level in zip(module.lateral, x)]
    maps[0] = F.interpolate(
        maps[0], (16, 20), mode='bilinear', align_corners=False
    )
    scores = [module.score(m) for m in maps]
    top = torch.maximum(*scores)
    weights = [(s - top).exp() for s in scores]
    want = sum(w * m for w, m in zip(weights, maps)) / sum(weights)
    torch.testing.assert_close(fused, want)


def test_bad_choice():
    with pytest.raises(ValueError, match="'roi' or 'map', got 'x'"):
        neck(fuse='x')


def extractor(strides=(4, 8), **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='mmps.AttentiveRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=3, sampling_ratio=2),
            out_channels=4,
            featmap_strides=strides,
            **kwargs,
        )
    ).eval()


ROIS = torch.tensor(
    [[0.0, 4, 8, 40, 60], [1, 20, 0, 60, 90], [1, 0, 0, 30, 30]]
)


def test_attention_over_levels_per_roi_and_position():
    module = extractor(bottleneck=False)
    feats = [torch.randn(2, 4, 32, 40), torch.randn(2, 4, 16, 20)]
    got = module(feats, ROIS)
    maps = [
        RoIAlign(3, 1 / stride, 2)(feat, ROIS)
        for stride, feat in zip((4, 8), feats)
    ]
    for n in range(3):
        for h in range(3):
            for w in range(3):
                at = [m[n, :, h, w] for m in maps]
                score = torch.stack(
                    [
                        module.score.weight[0, :, 0, 0] @ v
                        + module.score.bias[0]
                        for v in at
                    ]
                ).softmax(0)
                torch.testing.assert_close(module.attention[n, :, h, w], score)
                want = score[0] * at[0] + score[1] * at[1]
                torch.testing.assert_close(got[n, :, h, w], want)


def test_one_level_needs_no_attention():
    module = extractor((8,), bottleneck=False)
    feat = torch.randn(2, 4, 16, 20)
    want = RoIAlign(3, 1 / 8, 2)(feat, ROIS)
    torch.testing.assert_close(module([feat], ROIS), want)
    assert not list(module.parameters())


def test_bottleneck_follows_the_sum():
    plain, module = extractor(bottleneck=False), extractor()
    module.score.load_state_dict(plain.score.state_dict())
    feats = [torch.randn(2, 4, 32, 40), torch.randn(2, 4, 16, 20)]
    want = module.bottleneck(plain(feats, ROIS))
    torch.testing.assert_close(module(feats, ROIS), want)


def test_scaled_rois_and_none():
    module = extractor()
    feats = [torch.randn(2, 4, 32, 40), torch.randn(2, 4, 16, 20)]
    scaled = module.roi_rescale(ROIS, 0.5)
    torch.testing.assert_close(
        module(feats, ROIS, roi_scale_factor=0.5), module(feats, scaled)
    )
    assert module(feats, ROIS[:0]).shape == (0, 4, 3, 3)

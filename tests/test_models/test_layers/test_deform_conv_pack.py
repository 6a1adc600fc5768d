"""Tests of convolutions with offsets of their own against mmcv's."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack

import mmps.models  # noqa: F401
from mmps.models.layers import DeformConvPack, ModulatedDeformConvPack
from mmps.testing import HALF_DTYPES

PAIRS = [
    (DeformConvPack, DeformConv2dPack),
    (ModulatedDeformConvPack, ModulatedDeformConv2dPack),
]
OPTIONS = [
    dict(padding=1),
    dict(padding=1, stride=2),
    dict(padding=0),
    # Where mmcv's operator runs.
    dict(padding=2, dilation=2),
    dict(padding=1, groups=2),
    dict(padding=1, deform_groups=3),
    dict(padding=1, stride=(2, 1)),
]


def make_pair(kinds, dtype=torch.float64, **options):
    torch.manual_seed(0)
    ours, theirs = (kind(6, 4, 3, **options).to(dtype) for kind in kinds)
    for name, value in ours.named_parameters():
        if name != 'weight':
            # Away from whole cells, where the slope has two values.
            torch.nn.init.normal_(value, std=0.1)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('kinds', PAIRS)
@pytest.mark.parametrize('options', OPTIONS)
@pytest.mark.parametrize('size', [(9, 7), (5, 12)])
def test_equals_mmcv_in_values_and_gradients(kinds, options, size):
    ours, theirs = make_pair(kinds, **options)
    x = torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True)
    results = []
    for module in (ours, theirs):
        out = module(x)
        weights = torch.arange(out.numel()).reshape(out.shape).cos()
        inputs = (x, *module.parameters())
        grads = torch.autograd.grad((out * weights).sum(), inputs)
        results.append((out, *grads))
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), results[0][0], atol=1e-9, rtol=0)


@pytest.mark.parametrize('kinds', PAIRS)
def test_takes_the_place_of_a_convolution(kinds):
    layer = ConvModule(
        6,
        4,
        3,
        padding=1,
        bias=False,
        conv_cfg=dict(type=f'mmps.{kinds[0].__name__}'),
    )
    assert isinstance(layer.conv, kinds[0])
    # Offsets start at zero, so it starts as a convolution.
    x = torch.randn(1, 6, 5, 5)
    plain = torch.nn.functional.conv2d(x, layer.conv.weight, padding=1)
    share = 0.5 if kinds[0] is ModulatedDeformConvPack else 1
    torch.testing.assert_close(layer(x), (share * plain).relu())


@pytest.mark.parametrize('kinds', PAIRS)
@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_samples_in_single_precision_under_autocast(kinds, dtype):
    ours, _ = make_pair(kinds, torch.float32, padding=1)
    x = torch.randn(1, 6, 9, 7)
    want = ours(x)
    with torch.autocast('cpu', dtype=dtype):
        got = ours(x)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, want, atol=0.1, rtol=0.1)


@pytest.mark.parametrize('kinds', PAIRS)
def test_state_dict_is_mmcvs(kinds):
    ours, theirs = make_pair(kinds)
    assert list(ours.state_dict()) == list(theirs.state_dict())


@pytest.mark.parametrize('kinds', PAIRS)
@pytest.mark.parametrize('num', [1, 33])
def test_operator_of_a_gpu_takes_any_batch(kinds, num, monkeypatch):
    """mmcv checks what it takes on a CPU, too."""
    ours, _ = make_pair(kinds, torch.float32, padding=1, stride=2)
    x = torch.randn(num, 6, 4, 5)
    want = ours(x)
    monkeypatch.setattr(torch.Tensor, 'is_cuda', True)
    torch.testing.assert_close(ours(x), want, atol=1e-4, rtol=1e-4)

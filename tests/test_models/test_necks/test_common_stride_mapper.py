"""Tests of the neck that brings three levels to one stride."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.necks import CommonStrideMapper


def levels(height, width):
    generator = torch.Generator().manual_seed(0)
    shapes = []
    for channels in (3, 4, 5):
        shapes.append((2, channels, height, width))
        height, width = (height + 1) // 2, (width + 1) // 2
    return [torch.rand(shape, generator=generator) for shape in shapes]


@pytest.mark.parametrize('size', [(8, 12), (9, 13), (7, 5)])
def test_maps_of_the_middle_levels_size(size):
    torch.manual_seed(0)
    neck = CommonStrideMapper([3, 4, 5], 6)
    neck.init_weights()
    inputs = levels(*size)
    outs = neck(inputs)
    middle = inputs[1].shape[2:]
    assert [tuple(x.shape) for x in outs] == [(2, 6, *middle)] * 3


def test_equals_plain_convolutions_without_offsets():
    """Deformable ones whose points lie on the kernel's grid."""
    torch.manual_seed(0)
    neck = CommonStrideMapper([3, 4, 5], 6)
    for conv in neck.convs:
        conv.conv_offset.weight.data.zero_()
        conv.conv_offset.bias.data.zero_()
    inputs = levels(9, 13)
    outs = neck(inputs)
    for number, stride in enumerate((2, 1, 1)):
        lateral = neck.lateral_convs[number].conv
        x = F.conv2d(inputs[number], lateral.weight, lateral.bias)
        if number == 2:
            rows = torch.arange(5) * 3 // 5
            cols = torch.arange(7) * 4 // 7
            x = x[:, :, rows][..., cols]
        weight = neck.convs[number].weight
        want = F.conv2d(x, weight, stride=stride, padding=1)
        torch.testing.assert_close(outs[2 - number], want)


def test_three_levels():
    with pytest.raises(ValueError, match=r'three levels, got \[3, 4\]'):
        CommonStrideMapper([3, 4])

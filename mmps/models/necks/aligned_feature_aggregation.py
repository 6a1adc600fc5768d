"""The neck of AlignPS: deformable convolutions and concatenation."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers import DeformConvPack


@MODELS.register_module()
class AlignedFeatureAggregation(BaseModule):
    """Aligned feature aggregation (AFA): a pyramid for re-identification.

    FPN with three changes, which keep what a location says about its person
    apart from what surrounds it: 3x3 deformable convolutions in the place of
    the lateral 1x1 and of the output 3x3 ones, and concatenation in the
    place of the top-down sum. So the finest level reads all others, and has
    as many times ``out_channels`` before its output convolution.

    Source: Yan et al., "Anchor-Free Person Search" (AlignPS), CVPR 2021.

    Args:
        in_channels: Channels of the backbone's levels.
        out_channels: Channels of every output. Defaults to 256.
        start_level: First of the levels that are read. Defaults to 1.
        num_outs: Number of outputs; those beyond the levels that are read
            are made of the last by convolutions of stride 2, with ReLU
            between two of them. Defaults to 5.
        num_outs_test: Outputs in evaluation mode, the finest ones; AlignPS
            finds people on the first alone. Defaults to None, all.
        init_cfg: Defaults to Xavier of all but the deformable kernels, as
            in the published code: offsets start away from zero.

    Raises:
        ValueError: Fewer outputs than levels that are read.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        start_level: int = 1,
        num_outs: int = 5,
        num_outs_test: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg
            or dict(type='Xavier', layer='Conv2d', distribution='uniform')
        )
        used = in_channels[start_level:]
        if not 0 < len(used) <= num_outs:
            raise ValueError(
                'AlignedFeatureAggregation: num_outs must be at least the '
                f'number of levels that are read, {len(used)}, got {num_outs}'
            )
        self.start_level = start_level
        self.num_outs_test = num_outs_test
        self.lateral_convs = nn.ModuleList(
            DeformConvPack(channels, out_channels, 3, padding=1)
            for channels in used
        )
        self.fpn_convs = nn.ModuleList(
            DeformConvPack(count * out_channels, out_channels, 3, padding=1)
            for count in range(len(used), 0, -1)
        )
        self.fpn_convs.extend(
            ConvModule(
                out_channels,
                out_channels,
                3,
                stride=2,
                padding=1,
                act_cfg=None,
            )
            for _ in range(num_outs - len(used))
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Levels of the backbone to those of the pyramid.

        Args:
            inputs: Per level (N, C, H, W).

        Returns:
            Per output (N, ``out_channels``, H, W), the finest first.
        """
        maps = [
            conv(level)
            for conv, level in zip(
                self.lateral_convs, inputs[self.start_level :], strict=True
            )
        ]
        for i in range(len(maps) - 1, 0, -1):
            coarse = F.interpolate(
                maps[i], size=maps[i - 1].shape[2:], mode='nearest'
            )
            maps[i - 1] = torch.cat((maps[i - 1], coarse), 1)
        number = len(self.fpn_convs)
        if not self.training and self.num_outs_test is not None:
            number = self.num_outs_test
        outs: list[Tensor] = []
        for i, conv in enumerate(self.fpn_convs[:number]):
            if i < len(maps):
                outs.append(conv(maps[i]))
            else:
                last = outs[-1] if i == len(maps) else outs[-1].relu()
                outs.append(conv(last))
        return tuple(outs)

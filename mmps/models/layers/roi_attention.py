"""Attention on RoI features, between RoIAlign and the shared head.

Every module maps (N, C, H, W) features to the same shape; the RoI head builds
it with ``in_channels``. mmcv's ``NonLocal2d`` is another one.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.layers import SELayer
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS


def _descriptors(x: Tensor) -> Tensor:
    """(N, C, H, W) to the (N, 2, H, W) mean and maximum over channels."""
    return torch.stack((x.mean(1), x.amax(1)), 1)


@MODELS.register_module()
class PedestrianAttention(BaseModule):
    """One weight per position from dilated convolutions (PAM).

    Mean and maximum over channels go through one shared 3 x 3 kernel at
    several dilations; squeeze-and-excitation weighs the results, a 1 x 1
    convolution and a sigmoid make the map that multiplies the feature.

    Source: Hou et al., "Improved Instance Discrimination and Feature
    Compactness for End-to-End Person Search" (IIDFC), eq. 4 to 6. The
    released code has one weight per channel and 1024 inner channels.

    Args:
        in_channels (int): Not needed; every attention takes it.
        channels (int): Outputs of the shared kernel. Defaults to 64.
        dilations (Sequence[int]): Defaults to (1, 2, 3).
        ratio (int): Of squeeze-and-excitation. Defaults to 3.
    """

    def __init__(
        self,
        in_channels: int | None = None,
        channels: int = 64,
        dilations: Sequence[int] = (1, 2, 3),
        ratio: int = 3,
    ) -> None:
        super().__init__(init_cfg=dict(type='Kaiming', layer='Conv2d'))
        self.dilations = tuple(dilations)
        self.conv = nn.Conv2d(2, channels, 3, bias=False)
        self.se = SELayer(channels * len(self.dilations), ratio)
        self.out = nn.Conv2d(channels * len(self.dilations), 1, 1, bias=False)

    def attention(self, x: Tensor) -> Tensor:
        """(N, C, H, W) features to the (N, 1, H, W) map in 0..1."""
        maps = _descriptors(x)
        seen = [
            F.conv2d(maps, self.conv.weight, padding=d, dilation=d).relu()
            for d in self.dilations
        ]
        return self.out(self.se(torch.cat(seen, 1))).sigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """Weight the features of RoIs.

        Args:
            x: (N, C, H, W) from RoIAlign.

        Returns:
            (N, C, H, W), each position times its weight.
        """
        return x * self.attention(x)


@MODELS.register_module()
class SpatialAttention(BaseModule):
    """One weight per position from one 7 x 7 convolution.

    Source: Woo et al., "CBAM: Convolutional Block Attention Module", ECCV
    2018, eq. 3; a rival of PAM in IIDFC, Table VII.

    Args:
        in_channels (int): Not needed; every attention takes it.
        kernel_size (int): Odd. Defaults to 7.
    """

    def __init__(
        self, in_channels: int | None = None, kernel_size: int = 7
    ) -> None:
        super().__init__(init_cfg=dict(type='Kaiming', layer='Conv2d'))
        self.conv = nn.Conv2d(
            2, 1, kernel_size, padding=kernel_size // 2, bias=False
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) features times the map."""
        return x * self.conv(_descriptors(x)).sigmoid()


@MODELS.register_module()
class CBAM(BaseModule):
    """Weights per channel, then per position.

    Source: Woo et al., ECCV 2018, eq. 1 to 3; a rival of PAM in IIDFC, Table
    VII.

    Args:
        in_channels (int): Channels of the RoI feature.
        ratio (int): Reduction of the channel weights. Defaults to 16.
        kernel_size (int): Of the spatial weights. Defaults to 7.
    """

    def __init__(
        self, in_channels: int, ratio: int = 16, kernel_size: int = 7
    ) -> None:
        super().__init__()
        hidden = max(in_channels // ratio, 1)
        self.mlp = nn.Sequential(
            nn.Linear(in_channels, hidden),
            nn.ReLU(inplace=True),
            nn.Linear(hidden, in_channels),
        )
        self.spatial = SpatialAttention(kernel_size=kernel_size)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) features times both weights."""
        flat = x.flatten(2)
        weight = self.mlp(flat.mean(2)) + self.mlp(flat.amax(2))
        return self.spatial(x * weight.sigmoid()[:, :, None, None])

"""Levels of a backbone as maps of one stride."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers import DeformConvPack


@MODELS.register_module()
class CommonStrideMapper(BaseModule):
    """Three levels of a backbone, all at the stride of the middle one.

    A 1x1 convolution and a 3x3 deformable one per level; that of the finest
    level has stride 2, and the coarsest level is enlarged (nearest) between
    the two. A decoder can so read details and context of a person at the
    same places.

    Source: Cao et al., "PSTR: End-to-End One-Step Person Search With
    Transformers", CVPR 2022, section 3.3.

    Args:
        in_channels: Channels of the three levels, the finest first.
        out_channels: Channels of every map. Defaults to 256.
        init_cfg: Defaults to Xavier of all but the deformable kernels.

    Raises:
        ValueError: Not three levels.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(
            init_cfg
            or dict(type='Xavier', layer='Conv2d', distribution='uniform')
        )
        if len(in_channels) != 3:
            raise ValueError(
                'CommonStrideMapper: in_channels must be those of three '
                f'levels, got {list(in_channels)}'
            )
        self.lateral_convs = nn.ModuleList(
            ConvModule(channels, out_channels, 1, act_cfg=None)
            for channels in in_channels
        )
        self.convs = nn.ModuleList(
            DeformConvPack(
                out_channels, out_channels, 3, stride=stride, padding=1
            )
            for stride in (2, 1, 1)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Levels to maps of the middle one's size.

        Args:
            inputs: Three times (N, C, H, W), the finest first.

        Returns:
            Three times (N, ``out_channels``, H, W), that of the coarsest
            level first.
        """
        maps = [
            conv(level)
            for conv, level in zip(self.lateral_convs, inputs, strict=True)
        ]
        maps[2] = F.interpolate(
            maps[2], size=inputs[1].shape[2:], mode='nearest'
        )
        outs = [conv(level) for conv, level in zip(self.convs, maps)]
        return tuple(reversed(outs))

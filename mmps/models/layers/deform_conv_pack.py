"""Deformable convolutions that predict their own offsets."""

from mmcv.ops import DeformConv2dPack, ModulatedDeformConv2dPack
from torch import Tensor

from mmps.registry import MODELS

from .deform_conv import run_deform_conv


@MODELS.register_module()
class DeformConvPack(DeformConv2dPack):
    """mmcv's 'DCN', a convolution that predicts its own offsets.

    A convolution layer (``conv_cfg``) that runs by :func:`run_deform_conv`, so
    that it trains at speed on a CPU and under autocast; options and state
    dict are mmcv's.

    Source: Dai et al., "Deformable Convolutional Networks", ICCV 2017.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W') fp32."""
        return run_deform_conv(self, x, self.conv_offset(x))


@MODELS.register_module()
class ModulatedDeformConvPack(ModulatedDeformConv2dPack):
    """mmcv's 'DCNv2', :class:`DeformConvPack` with a factor per sample.

    Source: Zhu et al., "Deformable ConvNets v2: More Deformable, Better
    Results", CVPR 2019.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, O, H', W') fp32."""
        out = self.conv_offset(x)
        taps = out.size(1) // 3
        offset, mask = out.split((2 * taps, taps), 1)
        return run_deform_conv(self, x, offset, mask.sigmoid())

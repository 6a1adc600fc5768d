"""Res2Net in the two forms whose weights its authors published.

mmdet's Res2Net is v1b: three 3 x 3 convolutions as stem and average pooling
before the shortcut.
"""

import re
from typing import Any

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.res2net import Res2Layer, Res2Net
from torch import nn

from mmps.registry import MODELS


@MODELS.register_module()
class PlainRes2Net(ResNet):
    """Res2Net with ResNet's 7 x 7 stem and strided shortcuts.

    Source: Gao et al., "Res2Net: A New Multi-scale Backbone Architecture",
    TPAMI 2019; the backbone of IIDFC (26w 4s). The keys are those of the
    published weights.

    Args:
        depth (int): 50, 101 or 152.
        scales (int): Groups of a block. Defaults to 4.
        base_width (int): Channels of a group at the first stage. Defaults
            to 26.
        **kwargs: See mmdet's ResNet.
    """

    arch_settings = Res2Net.arch_settings

    def __init__(
        self,
        depth: int = 50,
        scales: int = 4,
        base_width: int = 26,
        **kwargs,
    ) -> None:
        self.scales = scales
        self.base_width = base_width
        super().__init__(depth, **kwargs)

    def make_res_layer(self, **kwargs: Any) -> nn.Sequential:
        """A stage with strided shortcuts."""
        stage = Res2Layer(
            scales=self.scales,
            base_width=self.base_width,
            base_channels=self.base_channels,
            **kwargs,
        )
        shortcut = stage[0].downsample
        if shortcut is not None:
            channels = shortcut[1].out_channels
            stage[0].downsample = nn.Sequential(
                build_conv_layer(
                    kwargs.get('conv_cfg'),
                    shortcut[1].in_channels,
                    channels,
                    1,
                    stride=kwargs.get('stride', 1),
                    bias=False,
                ),
                build_norm_layer(kwargs['norm_cfg'], channels)[1],
            )
        return stage


@MODELS.register_module()
class Res2NetV1b(Res2Net):
    """mmdet's Res2Net that also loads the authors' v1b weights.

    They name the stem's layers ``conv1`` and ``bn1``, mmdet ``stem``.
    """

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        stem = re.compile(rf'^{re.escape(prefix)}(?:conv1\.(\d)|bn1)\.(\w+)$')
        for key in list(state_dict):
            if match := stem.match(key):
                layer = match[1] or '7'
                name = f'{prefix}stem.{layer}.{match[2]}'
                state_dict[name] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

"""Res2Net in the two forms whose weights its authors published.

mmdet's Res2Net is v1b (three 3 x 3 convolutions as stem and average pooling
before the shortcut) but for one pooling that has no weights: see
:class:`PublishedBottle2neck`.
"""

import re
from typing import Any

import torch
from mmcv.cnn import build_conv_layer, build_norm_layer
from mmdet.models.backbones import ResNet
from mmdet.models.backbones.res2net import Bottle2neck, Res2Layer, Res2Net
from torch import Tensor, nn

from mmps.registry import MODELS


class PublishedBottle2neck(Bottle2neck):
    """The authors' block: the first of a stage pools its last group.

    mmdet's does so only where it strides, hence not in layer1; the weights
    are the same, the outputs are not.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.stage_type != 'stage' or self.conv2_stride != 1:
            return
        self.last_group_pool = LastGroupPool(self.width)
        if not self.with_plugins:
            self.with_plugins = True
            self.after_conv1_plugin_names = []
            self.after_conv2_plugin_names = []
            self.after_conv3_plugin_names = []
        self.after_conv1_plugin_names.append('last_group_pool')


class LastGroupPool(nn.Module):
    """Mean over 3 x 3 positions of the last channels.

    Args:
        width (int): How many channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        others, last = x.tensor_split([-self.width], 1)
        return torch.cat((others, self.pool(last)), 1)


ARCH_SETTINGS = {
    depth: (PublishedBottle2neck, blocks)
    for depth, (_, blocks) in Res2Net.arch_settings.items()
}


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

    arch_settings = ARCH_SETTINGS

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

    arch_settings = ARCH_SETTINGS

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

"""Point poolings: from pyramid maps to re-identification maps."""

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Sequence
from math import isqrt
from typing import NamedTuple

import torch
from mmcv.cnn import Scale
from mmengine.model import BaseModule, caffe2_xavier_init
from torch import Tensor, nn

from mmps.registry import MODELS

from .deform_conv import DeformConv, kernel_grid


class PointFeatures(NamedTuple):
    """Re-identification maps of all levels.

    Attributes:
        feats (list[Tensor]): Per level (N, A, C, H, W), A anchors.
        offsets (list[Tensor] | None): Per level (N, A, 2K, H, W), (y, x)
            pairs in cells; None where the pooling has a fixed grid.
    """

    feats: list[Tensor]
    offsets: list[Tensor] | None


class BasePointPooling(BaseModule, metaclass=ABCMeta):
    """Interface of the point poolings of :class:`PCNetHead`.

    The head builds it with ``in_channels``, ``out_channels``, ``num_levels``
    and ``num_anchors``. A pooling whose points are learned has a method
    ``points`` as :meth:`ContextualPointPooling.points`, which the distance
    loss and pictures ask for.
    """

    @abstractmethod
    def forward(self, feats: Sequence[Tensor]) -> PointFeatures:
        """From pyramid maps to re-identification maps.

        Args:
            feats (Sequence[Tensor]): Per level (N, C, H, W).

        Returns:
            PointFeatures: Maps of the same sizes for every anchor, and the
            offsets of the points that they were sampled at.
        """


@MODELS.register_module()
class ContextualPointPooling(BasePointPooling):
    """Contextual Point Pooling (CPP), eq. 5 of PCNet.

    A tower shared by the levels predicts K offsets per location and anchor,
    scaled by one learned factor per level; a deformable convolution sums the
    level's features at these points. Anchors share its weights, levels do
    not by default.

    Args:
        in_channels (int): Channels of the pyramid. Defaults to 256.
        out_channels (int): Channels of the maps. Defaults to 256.
        num_levels (int): Pyramid levels. Defaults to 5.
        num_anchors (int): Anchors A per location. Defaults to 1.
        num_points (int): K, the square of an odd number. Defaults to 9.
        offset_channels (int): Width of the offset tower. Defaults to 256.
        share_weights (bool): One set of weights for all levels.
            Defaults to False.
        init_cfg (dict, optional): Defaults to None: as in PCNet's release,
            offsets start away from zero.
    """

    def __init__(
        self,
        in_channels: int = 256,
        out_channels: int = 256,
        num_levels: int = 5,
        num_anchors: int = 1,
        num_points: int = 9,
        offset_channels: int = 256,
        share_weights: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        kernel = isqrt(num_points)
        if kernel * kernel != num_points or kernel % 2 == 0:
            raise ValueError(
                'num_points must be the square of an odd number (9, 25, ...)'
                f', got {num_points}'
            )
        self.out_channels = out_channels
        self.num_anchors = num_anchors
        self.num_points = num_points
        self.kernel = kernel
        self.offset_tower = nn.Sequential(
            nn.Conv2d(in_channels, offset_channels, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.offset_pred = nn.Conv2d(
            offset_channels, num_anchors * 2 * num_points, 3, padding=1
        )
        self.offset_scales = nn.ModuleList(
            Scale(1.0) for _ in range(num_levels)
        )
        convs = [
            DeformConv(in_channels, out_channels, kernel)
            for _ in range(1 if share_weights else num_levels)
        ]
        self.point_convs = nn.ModuleList(
            convs * num_levels if share_weights else convs
        )

    def init_weights(self) -> None:
        """As in PCNet's release.

        Normal(0.01) tower, Kaiming uniform offsets, and point convolutions
        uniform within 1 / sqrt(fan in).
        """
        super().init_weights()
        nn.init.normal_(self.offset_tower[0].weight, std=0.01)
        nn.init.zeros_(self.offset_tower[0].bias)
        caffe2_xavier_init(self.offset_pred)
        _init_point_convs(self.point_convs)

    def forward(self, feats: Sequence[Tensor]) -> PointFeatures:
        """See :meth:`BasePointPooling.forward`."""
        pooled, all_offsets = [], []
        for x, scale, conv in zip(
            feats, self.offset_scales, self.point_convs, strict=True
        ):
            num, channels, height, width = x.shape
            anchors = self.num_anchors
            # Positions in fp32: bf16 has no half cell beyond 128 cells.
            offset = scale(self.offset_pred(self.offset_tower(x))).float()
            tiled = x[:, None].expand(-1, anchors, -1, -1, -1)
            out = conv(
                tiled.reshape(num * anchors, channels, height, width),
                offset.reshape(num * anchors, -1, height, width),
            )
            pooled.append(out.reshape(num, anchors, -1, height, width))
            all_offsets.append(offset.reshape(num, anchors, -1, height, width))
        return PointFeatures(pooled, all_offsets)

    def points(
        self, centres: Tensor, offsets: Tensor, strides: Tensor
    ) -> Tensor:
        """Sampled points in input pixels: location + kernel grid + offset.

        Args:
            centres (Tensor): (P, 2) location centres (x, y) in input pixels.
            offsets (Tensor): (P, 2K) offsets in cells, (y, x) pairs.
            strides (Tensor): (P,) stride of each location's level.

        Returns:
            Tensor: (P, K, 2) points (x, y), kernel taps row by row.
        """
        pad = (self.kernel - 1) // 2
        ys, xs = kernel_grid(self.kernel, pad, offsets.device, offsets.dtype)
        pairs = offsets.unflatten(1, (-1, 2))
        cells = torch.stack((pairs[..., 1] + xs, pairs[..., 0] + ys), dim=-1)
        return centres[:, None] + cells * strides[:, None, None]


@MODELS.register_module()
class ConvPointPooling(BasePointPooling):
    """A plain 3x3 convolution in the place of CPP (PCNet, Table 1 and 3).

    Args: as in :class:`ContextualPointPooling`.
    """

    def __init__(
        self,
        in_channels: int = 256,
        out_channels: int = 256,
        num_levels: int = 5,
        num_anchors: int = 1,
        share_weights: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.out_channels = out_channels
        self.num_anchors = num_anchors
        convs = [
            nn.Conv2d(in_channels, num_anchors * out_channels, 3, padding=1)
            for _ in range(1 if share_weights else num_levels)
        ]
        self.point_convs = nn.ModuleList(
            convs * num_levels if share_weights else convs
        )

    def init_weights(self) -> None:
        """Start like the deformable convolutions that it replaces."""
        super().init_weights()
        _init_point_convs(self.point_convs)
        for conv in self.point_convs:
            nn.init.zeros_(conv.bias)

    def forward(self, feats: Sequence[Tensor]) -> PointFeatures:
        """See :meth:`BasePointPooling.forward`."""
        return PointFeatures(
            [
                conv(x).unflatten(1, (self.num_anchors, self.out_channels))
                for x, conv in zip(feats, self.point_convs, strict=True)
            ],
            None,
        )


@MODELS.register_module()
class IdentityPointPooling(BasePointPooling):
    """The pyramid itself as re-identification maps (PCNet, Table 3).

    For aggregations that do their own pooling, such as
    :class:`RoIAlignAggregation`.

    Args: as in :class:`ContextualPointPooling`; ``in_channels`` and
        ``out_channels`` must be equal.
    """

    def __init__(
        self,
        in_channels: int = 256,
        out_channels: int = 256,
        num_levels: int = 5,
        num_anchors: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        if in_channels != out_channels:
            raise ValueError(
                'IdentityPointPooling keeps the pyramid as it is: embed_dims '
                f'({out_channels}) must equal its channels ({in_channels})'
            )
        self.num_anchors = num_anchors

    def forward(self, feats: Sequence[Tensor]) -> PointFeatures:
        """See :meth:`BasePointPooling.forward`."""
        size = (-1, self.num_anchors, -1, -1, -1)
        return PointFeatures([x[:, None].expand(size) for x in feats], None)


def _init_point_convs(convs: Iterable[nn.Module]) -> None:
    """Weights uniform within 1 / sqrt(fan in)."""
    for conv in convs:
        # The slope that makes torch's bound the one wanted.
        nn.init.kaiming_uniform_(conv.weight, a=5**0.5)

"""Shallow levels beside the detector's own."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS


@MODELS.register_module()
class ShallowFusion(BaseModule):
    """The detector's levels, followed by shallow ones of one width (SFM).

    A 1 x 1 convolution and batch norm bring each shallow level of the
    backbone to ``out_channels``. The detector's own levels come first: what
    ``neck`` makes of the backbone, or the backbone's last level as it is.

    Source: UGAS, shallow fusion module.

    Args:
        in_channels (Sequence[int]): Of the shallow levels, the backbone's
            first ones: (256, 512) are res2 and res3 of ResNet-50.
        out_channels (int): Defaults to 256.
        neck (dict, optional): Of the detector, such as FPN. Defaults to
            None.
        fuse (str): 'roi': the levels stay apart until RoIAlign. 'map':
            attention fuses them into one map of the second level's stride.
            Defaults to 'roi'.

    Raises:
        ValueError: ``fuse`` is unknown.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        neck: dict | None = None,
        fuse: str = 'roi',
    ) -> None:
        super().__init__(init_cfg=dict(type='Kaiming', layer='Conv2d'))
        if fuse not in ('roi', 'map'):
            raise ValueError(
                f"ShallowFusion: fuse must be 'roi' or 'map', got {fuse!r}"
            )
        self.fuse = fuse
        self.neck = MODELS.build(neck) if neck else None
        self.lateral = nn.ModuleList(
            ConvModule(
                channels,
                out_channels,
                1,
                norm_cfg=dict(type='BN'),
                act_cfg=None,
            )
            for channels in in_channels
        )
        self.score = None
        if fuse == 'map':
            self.score = nn.Conv2d(out_channels, 1, 1)

    def forward(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Levels of the detector and the shallow branch.

        Args:
            x: Levels of the backbone, (N, C, H, W), the shallow ones first.

        Returns:
            What ``neck`` makes of them (without one the last level), and
            behind it the shallow levels, ``out_channels`` wide: one per
            entry of ``in_channels``, or with ``fuse='map'`` one in all.
        """
        own = (x[-1],) if self.neck is None else tuple(self.neck(x))
        shallow = [conv(level) for conv, level in zip(self.lateral, x)]
        if self.score is None:
            return own + tuple(shallow)
        size = shallow[min(1, len(shallow) - 1)].shape[2:]
        maps = torch.stack(
            [
                F.interpolate(
                    level, size, mode='bilinear', align_corners=False
                )
                for level in shallow
            ],
            1,
        )
        scores = self.score(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        return (*own, (maps * scores.softmax(1)).sum(1))

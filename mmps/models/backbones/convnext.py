"""ConvNeXt, which mmdet lacks."""

import re
from collections.abc import Sequence
from itertools import accumulate

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

from mmps.registry import MODELS

from .row_backbone import RowBackbone


@MODELS.register_module()
class ConvNeXt(RowBackbone):
    """ConvNeXt; four stages of strides 4, 8, 16 and 32.

    T has depths (3, 3, 9, 3), S (3, 3, 27, 3), both with widths (96, 192,
    384, 768); B is as deep as S with widths (128, 256, 512, 1024).

    Source: Liu et al., "A ConvNet for the 2020s", CVPR 2022. The keys are
    those of torchvision.

    Args:
        depths (Sequence[int]): Blocks of every stage. Defaults to (3, 3, 9,
            3).
        widths (Sequence[int]): Channels of every stage. Defaults to (96,
            192, 384, 768).
        drop_path_rate (float): Stochastic depth of the last block; it grows
            from 0. Defaults to 0.
        layer_scale (float): Where the scale of every block starts. Defaults
            to 1e-6.
        norm_outputs (bool): Layer norm over the channels of every output,
            as the authors have it before a pyramid. Defaults to False.
        num_stages (int, optional): Stages that are kept, the first ones.
            Defaults to None, which is all.
        out_indices (Sequence[int]): Stages whose outputs are given.
            Defaults to (0, 1, 2, 3).
        frozen_stages (int): 0 freezes the stem, n also the first n stages,
            -1 nothing. Defaults to -1.
        init_cfg (dict, optional): ``type='Pretrained'`` reads torchvision's
            checkpoints and the authors'. Defaults to None.

    Raises:
        ValueError: A stage that is wanted is not there.
    """

    def __init__(
        self,
        depths: Sequence[int] = (3, 3, 9, 3),
        widths: Sequence[int] = (96, 192, 384, 768),
        drop_path_rate: float = 0.0,
        layer_scale: float = 1e-6,
        norm_outputs: bool = False,
        num_stages: int | None = None,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        stem = [nn.Conv2d(3, widths[0], 4, 4), LayerNorm2d(widths[0])]
        rates = torch.linspace(0, drop_path_rate, sum(depths)).tolist()
        row, starts = [], [0, *accumulate(depths)]
        for stage, (start, width) in enumerate(zip(starts, widths)):
            before = widths[stage - 1]
            merge = [LayerNorm2d(before), nn.Conv2d(before, width, 2, 2)]
            row.append(nn.Sequential(*(merge if stage else stem)))
            row.append(
                nn.Sequential(
                    *(
                        ConvNeXtBlock(width, rate, layer_scale)
                        for rate in rates[start : start + depths[stage]]
                    )
                )
            )
        super().__init__(
            nn.Sequential(*row),
            range(2, len(row) + 1, 2),
            widths,
            num_stages,
            out_indices,
            frozen_stages,
            False,
            init_cfg,
        )
        self.norms = nn.ModuleDict()
        if norm_outputs:
            for stage in self.out_indices:
                self.norms[str(stage)] = LayerNorm2d(widths[stage])
        for layer in self.modules():
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the stages ``out_indices``, each (N, C, H, W)."""
        outs = super().forward(x)
        if not self.norms:
            return outs
        return tuple(norm(x) for norm, x in zip(self.norms.values(), outs))

    def own_keys(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """torchvision's keys, of a file that has the authors'."""
        return {
            _torchvision_key(key): (
                value[:, None, None] if key.endswith('.gamma') else value
            )
            for key, value in state.items()
        }


class ConvNeXtBlock(nn.Module):
    """A 7 x 7 convolution per channel, and two layers over the channels.

    Args:
        width (int): Channels.
        drop_path_rate (float): Of the block.
        layer_scale (float): Where its scale starts.
    """

    def __init__(
        self, width: int, drop_path_rate: float, layer_scale: float
    ) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 7, padding=3, groups=width),
            ChannelsLast(),
            nn.LayerNorm(width, eps=1e-6),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Linear(4 * width, width),
            ChannelsFirst(),
        )
        self.layer_scale = nn.Parameter(torch.full((width, 1, 1), layer_scale))
        self.drop_path = DropPath(drop_path_rate)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return x + self.drop_path(self.layer_scale * self.block(x))


class LayerNorm2d(nn.LayerNorm):
    """Layer norm over the channels of a map.

    Args:
        width (int): Channels.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class ChannelsLast(nn.Module):
    """(N, C, H, W) to (N, H, W, C)."""

    def forward(self, x: Tensor) -> Tensor:
        """Move the channels."""
        return x.movedim(1, -1)


class ChannelsFirst(nn.Module):
    """(N, H, W, C) to (N, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Move the channels."""
        return x.movedim(-1, 1)


# The layers of a block, as the authors name them.
_BLOCK = {
    'gamma': 'layer_scale',
    'dwconv': 'block.0',
    'norm': 'block.2',
    'pwconv1': 'block.3',
    'pwconv2': 'block.5',
}


def _torchvision_key(key: str) -> str:
    """The key of an authors' weight; any other stays as it is."""
    if match := re.fullmatch(r'downsample_layers\.(\d)\.(.+)', key):
        return f'features.{2 * int(match[1])}.{match[2]}'
    if match := re.fullmatch(r'stages\.(\d)\.(\d+)\.([a-z\d]+)(.*)', key):
        stage, block = 2 * int(match[1]) + 1, match[2]
        return f'features.{stage}.{block}.{_BLOCK[match[3]]}{match[4]}'
    return key

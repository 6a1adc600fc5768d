"""Aggregation of a person's embedding from the re-identification maps."""

from collections.abc import Sequence

import torch
from mmcv.ops import RoIAlign
from mmdet.structures.bbox import bbox2roi
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import run_roi_align, true_indices


@MODELS.register_module()
class CrossScaleAggregation(BaseModule):
    """Cross Scale Aggregation (CSA), eq. 8 to 10 of PCNet.

    Adds to a person's own feature f' an attention-weighted sum of the raw
    features at every location, of all levels, strictly inside its box:
    f = f' + softmax(phi(keys) . psi(f')) keys. A box that holds no location
    leaves f = f'. Keys are projected once per image and all its boxes share
    one masked softmax.

    Args:
        channels (int): Channels C of the features. Defaults to 256.
        strides (Sequence[int]): Strides of the levels, in input pixels.
            Defaults to (8, 16, 32, 64, 128).
        center_offset (float): Position of a location's centre in its cell,
            in cells. Defaults to 0.5.
        level_scale (bool): Multiply the keys' input by one learned factor
            per level (PCNet's release). Defaults to False.
        logit_clamp (float, optional): Clamp the logits to +- this value
            (50 in the release). Defaults to None.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
        self,
        channels: int = 256,
        strides: Sequence[int] = (8, 16, 32, 64, 128),
        center_offset: float = 0.5,
        level_scale: bool = False,
        logit_clamp: float | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.strides = tuple(strides)
        self.center_offset = center_offset
        self.logit_clamp = logit_clamp
        self.phi = nn.Linear(channels, channels)
        self.psi = nn.Linear(channels, channels)
        self.level_scale = (
            nn.Parameter(torch.ones(len(strides))) if level_scale else None
        )

    def forward(
        self,
        own: Sequence[Tensor],
        boxes: Sequence[Tensor],
        feats: Sequence[Tensor],
    ) -> list[Tensor]:
        """Aggregate embeddings for every box of every image.

        Args:
            own (Sequence[Tensor]): Per image (n, C), the features f'.
            boxes (Sequence[Tensor]): Per image (n, 4), xyxy, input pixels.
            feats (Sequence[Tensor]): Per level (N, C, H, W).

        Returns:
            list[Tensor]: Per image (n, C), the features f, fp32.
        """
        if len(feats) != len(self.strides):
            raise ValueError(
                f'CrossScaleAggregation has {len(self.strides)} strides and '
                f'got {len(feats)} levels'
            )
        centres = location_centres(feats, self.strides, self.center_offset)
        values = torch.cat([f.flatten(2) for f in feats], 2).transpose(1, 2)
        factor = None
        if self.level_scale is not None:
            cells = [f.size(2) * f.size(3) for f in feats]
            factor = torch.cat(
                [
                    s.expand(n)
                    for s, n in zip(self.level_scale, cells, strict=True)
                ]
            )[:, None]
        inside = [strictly_inside(centres, b) for b in boxes]
        # Only locations inside some box cost anything.
        used = _used_locations(inside)
        with torch.autocast(values.device.type, enabled=False):
            return [
                self._aggregate(f, i, v, factor, u)
                for f, i, v, u in zip(own, inside, values, used, strict=True)
            ]

    def _aggregate(
        self,
        own: Tensor,
        inside: Tensor,
        values: Tensor,
        factor: Tensor | None,
        used: Tensor,
    ) -> Tensor:
        """Not in the maps' precision: the result is compared in search."""
        # Not len(): export would fix the number of boxes.
        if own.size(0) == 0:
            return own.float()
        dtype = self.psi.weight.dtype
        own, values = own.to(dtype), values[used].to(dtype)
        inside = inside[:, used]
        keys = values if factor is None else values * factor[used]
        logits = self.psi(own) @ self.phi(keys).t()
        if self.logit_clamp is not None:
            logits = logits.clamp(-self.logit_clamp, self.logit_clamp)
        logits = logits.masked_fill(~inside, float('-inf'))
        some = inside.any(1, keepdim=True)
        # A row of -inf has a NaN gradient even where it is masked later.
        weights = logits.masked_fill(~some, 0).softmax(1) * some
        return (own + weights @ values).float()


def _used_locations(inside: Sequence[Tensor]) -> list[Tensor]:
    """Per image, the locations inside some box.

    The device is waited for once, not once per image.

    Args:
        inside (Sequence[Tensor]): Per image (n, P) bool.
    """
    masks = torch.stack([i.any(0) for i in inside])
    if len(masks) == 1:
        return [masks[0].nonzero().squeeze(1)]
    counts = masks.sum(1).tolist()
    return [true_indices(m, n) for m, n in zip(masks, counts, strict=True)]


@MODELS.register_module()
class RoIAlignAggregation(BaseModule):
    """RoIAlign on every level, a 3x3 convolution, summed (PCNet, Table 3).

    The box-cropping rival of PCNet's points: the person's own feature f' is
    not used. The convolved crop is averaged over its bins.

    Args:
        channels (int): Channels C of the features. Defaults to 256.
        strides (Sequence[int]): Strides of the levels, in input pixels.
            Defaults to (8, 16, 32, 64, 128).
        output_size (int): Bins per side. Defaults to 7.
        init_cfg (dict, optional): Defaults to None.
    """

    def __init__(
        self,
        channels: int = 256,
        strides: Sequence[int] = (8, 16, 32, 64, 128),
        output_size: int = 7,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.aligns = nn.ModuleList(
            RoIAlign(output_size, spatial_scale=1 / s, sampling_ratio=2)
            for s in strides
        )
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(
        self,
        own: Sequence[Tensor],
        boxes: Sequence[Tensor],
        feats: Sequence[Tensor],
    ) -> list[Tensor]:
        """As :meth:`CrossScaleAggregation.forward`; f' only sets counts."""
        rois = bbox2roi(list(boxes)).float()
        crops = sum(
            self.conv(run_roi_align(align, f, rois))
            for align, f in zip(self.aligns, feats, strict=True)
        )
        pooled = crops.float().mean((2, 3))
        return list(pooled.split([len(f) for f in own]))


def location_centres(
    feats: Sequence[Tensor], strides: Sequence[int], center_offset: float
) -> Tensor:
    """Centres (x, y) of all locations of all levels, (P, 2), input pixels."""
    centres = []
    for feat, stride in zip(feats, strides, strict=True):
        height, width = feat.shape[-2:]
        y, x = torch.meshgrid(
            torch.arange(height, device=feat.device),
            torch.arange(width, device=feat.device),
            indexing='ij',
        )
        grid = torch.stack((x, y), -1).reshape(-1, 2).float()
        centres.append((grid + center_offset) * stride)
    return torch.cat(centres)


def strictly_inside(centres: Tensor, boxes: Tensor) -> Tensor:
    """(B, P): whether centre (P, 2) lies inside, not on, box (B, 4) xyxy."""
    # Axis by axis: reducing over the last one would be four times as slow.
    x, y = centres.unbind(1)
    x1, y1, x2, y2 = boxes[:, :, None].unbind(1)
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)

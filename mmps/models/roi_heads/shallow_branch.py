"""Second embeddings of RoIs, from shallow levels."""

from collections.abc import Sequence

import torch
from mmdet.models.backbones.resnet import Bottleneck
from mmdet.models.roi_heads.roi_extractors import BaseRoIExtractor
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers.reid_features import ReIDFeatures
from ..memories import MemoryReadout, needs_cosines
from ..utils import run_roi_align


@MODELS.register_module()
class AttentiveRoIExtractor(BaseRoIExtractor):
    """RoIAlign on every level, fused by attention per RoI and position.

    Source: UGAS, the RoI part of the shallow fusion module (SFM).

    Args:
        roi_layer (dict): RoIAlign of 14 x 14. See mmdet.
        out_channels (int): Of every level. Defaults to 256.
        featmap_strides (Sequence[int]): Of the shallow levels. Defaults to
            (4, 8).
        bottleneck (bool): One residual bottleneck behind the sum. Defaults
            to True.

    Attributes:
        attention (Tensor): Weights (n, levels, h, w) of the last call.
    """

    def __init__(
        self,
        roi_layer: dict,
        out_channels: int = 256,
        featmap_strides: Sequence[int] = (4, 8),
        bottleneck: bool = True,
    ) -> None:
        super().__init__(roi_layer, out_channels, list(featmap_strides))
        # One level was fused before.
        self.score = None
        if len(featmap_strides) > 1:
            self.score = nn.Conv2d(out_channels, 1, 1)
        self.bottleneck = nn.Identity()
        if bottleneck:
            self.bottleneck = Bottleneck(out_channels, out_channels // 4)
        self.attention = None

    def forward(
        self,
        feats: Sequence[Tensor],
        rois: Tensor,
        roi_scale_factor: float | None = None,
    ) -> Tensor:
        """Features of RoIs.

        Args:
            feats: Per shallow level (N, C, H, W).
            rois: (n, 5), image index and xyxy, in input pixels.
            roi_scale_factor: Enlarges the RoIs. Defaults to None.

        Returns:
            (n, C, h, w).
        """
        if roi_scale_factor is not None:
            rois = self.roi_rescale(rois, roi_scale_factor)
        maps = torch.stack(
            [
                run_roi_align(layer, feat, rois)
                for layer, feat in zip(self.roi_layers, feats, strict=True)
            ],
            1,
        )
        if self.score is None:
            return self.bottleneck(maps[:, 0])
        scores = self.score(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        weights = scores.softmax(1)
        self.attention = weights[:, :, 0].detach()
        return self.bottleneck((maps * weights).sum(1))


@MODELS.register_module()
class ShallowBranch(BaseModule):
    """Embeddings from the neck's shallow levels, with a memory of their own.

    The neck is :class:`ShallowFusion`, which hands the shallow levels on
    behind the detector's own.

    Source: UGAS, shallow fusion module (SFM) and self-distillation (SD).

    Args:
        roi_extractor (dict): :class:`AttentiveRoIExtractor`.
        reid_head (dict): :class:`ReIDHead` with a projection of one level.
        loss_distill (dict, optional): Such as :class:`SoftLabelLoss`, from
            the deep to the shallow embedding. Defaults to None.
    """

    def __init__(
        self,
        roi_extractor: dict,
        reid_head: dict,
        loss_distill: dict | None = None,
    ) -> None:
        super().__init__()
        self.roi_extractor = MODELS.build(roi_extractor)
        self.reid_head = MODELS.build(reid_head)
        self.loss_distill = None
        if loss_distill is not None:
            self.loss_distill = MODELS.build(loss_distill)

    @property
    def needs_cosines(self) -> bool:
        """Whether it reads the cosines of both memories, besides losses."""
        return needs_cosines(self.loss_distill)

    def forward(self, x: Sequence[Tensor], rois: Tensor) -> ReIDFeatures:
        """Embeddings of RoIs.

        Args:
            x: Levels of the neck, (N, C, H, W); the shallow ones are last.
            rois: (n, 5), image index and xyxy, in input pixels.

        Returns:
            ReIDFeatures: Of the n RoIs; ``embeddings`` (n, D) are what is
            searched by, alone or with the deep ones.

        Raises:
            ValueError: The neck has too few levels.
        """
        num = self.roi_extractor.num_inputs
        if len(x) <= num:
            raise ValueError(
                f'ShallowBranch: reads {num} shallow levels behind the '
                f"detector's own, but the neck gives {len(x)} levels in all; "
                'use the neck ShallowFusion'
            )
        return self.reid_head([self.roi_extractor(x[-num:], rois)])

    def loss(
        self,
        x: Sequence[Tensor],
        rois: Tensor,
        person_ids: Tensor,
        deep: MemoryReadout,
        ious: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of people; then the memory is updated.

        Args:
            x: Levels of the neck.
            rois: (P, 5) of people.
            person_ids: (P,) contiguous ids, -1 for unlabelled.
            deep: The deep memory's answer to the same people, as it was
                before this step's update.
            ious: (P,) as of :meth:`ReIDHead.loss`. Defaults to None.

        Returns:
            ``loss_shallow_*`` as of the re-id head, and ``loss_distill``.
        """
        features = self(x, rois)
        people = torch.arange(len(rois), device=rois.device)
        readout = self.reid_head.read(
            features, people, shared=self.needs_cosines
        )
        losses = {
            name.replace('loss_', 'loss_shallow_', 1): value
            for name, value in self.reid_head.loss(
                features, people, person_ids, readout, ious=ious
            ).items()
        }
        if self.loss_distill is not None:
            losses['loss_distill'] = self.loss_distill(deep, readout)
        return losses

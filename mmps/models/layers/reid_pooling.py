"""Poolings of RoI maps for re-identification."""

from abc import ABCMeta, abstractmethod

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmps.registry import MODELS

from .batch_norm import batch_norm


class BasePooling(nn.Module, metaclass=ABCMeta):
    """Interface of the poolings of a :class:`ReIDHead`.

    A pooling that has a method ``attention`` can be guided by the head's
    ``loss_attention``.

    Attributes:
        projected (bool): What :meth:`forward` reads. False: the RoI's maps,
            one call per level that the projection reads, whose vectors are
            projected afterwards. True: the projected map, whose vector is
            the embedding.
    """

    projected = False

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """From maps to vectors.

        Args:
            x: (N, C, H, W) of N RoIs, N may be 0; of a projected map C is
                the size of the embedding.

        Returns:
            (N, C) vectors, not normalised, and the (N, H, W) attention that
            weighted the positions; None without one.
        """


@MODELS.register_module()
class MaxPooling(BasePooling):
    """Maximum over positions (NAE, SeqNet, HOIM, FDPS)."""

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """See :meth:`BasePooling.forward`."""
        return x.flatten(2).amax(2), None


@MODELS.register_module()
class MeanPooling(BasePooling):
    """Mean over positions.

    Args:
        projected (bool): Of the projected map, behind its batch norm, as the
            baseline of PGSFL (which differs from its attention in the weights
            alone), instead of the RoI's map. Defaults to False.
    """

    def __init__(self, projected: bool = False) -> None:
        super().__init__()
        self.projected = projected

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """See :meth:`BasePooling.forward`."""
        return x.flatten(2).mean(2), None


@MODELS.register_module()
class PrototypeGuidedAttention(BaseModule, BasePooling):
    """Weighted mean by a learned saliency map (PGA).

    Channel weights by squeeze-and-excitation, their weighted mean over
    channels as a descriptor of H W values, two linear layers and a sigmoid:
    the map A; the result is ``sum(A f) / sum(A)``. The guidance is a loss
    (:class:`PrototypeGuidanceLoss`); without it this is the paper's
    "self-attention".

    Source: Kim et al., "Prototype-Guided Saliency Feature Learning for Person
    Search" (PGSFL), CVPR 2021, section 3.3.

    Args:
        channels (int): Of the embedding. Defaults to 256.
        size (tuple[int, int]): Height and width of the map; fixed, since the
            descriptor goes through linear layers. Defaults to (7, 7).
        channel_ratio (int): r. Defaults to 8.
        spatial_ratio (int): r'. Defaults to 7.
    """

    projected = True

    def __init__(
        self,
        channels: int = 256,
        size: tuple[int, int] = (7, 7),
        channel_ratio: int = 8,
        spatial_ratio: int = 7,
    ) -> None:
        super().__init__()
        self.size = tuple(size)
        area = self.size[0] * self.size[1]
        self.channel = _bottleneck(channels, channels // channel_ratio)
        self.spatial = _bottleneck(area, area // spatial_ratio)

    def attention(self, f: Tensor) -> Tensor:
        """(N, C, H, W) projected features to (N, H, W) weights in 0..1."""
        if f.shape[2:] != self.size:
            raise ValueError(
                f'PrototypeGuidedAttention: size={self.size} in the config, '
                f'but the RoI maps have {tuple(f.shape[2:])}'
            )
        flat = f.flatten(2)
        weight = self.channel(flat.mean(2)).sigmoid()
        descriptor = (weight[:, :, None] * flat).mean(1)
        return self.spatial(descriptor).sigmoid().reshape(-1, *self.size)

    def forward(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`BasePooling.forward`; weights in 0..1."""
        attention = self.attention(f)
        total = attention.flatten(1).sum(1, keepdim=True)
        pooled = torch.einsum('nchw,nhw->nc', f, attention)
        return pooled / total.clamp(min=1e-6), attention


def _bottleneck(channels: int, hidden: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(channels, max(hidden, 1)),
        nn.ReLU(inplace=True),
        nn.Linear(max(hidden, 1), channels),
    )


@MODELS.register_module()
class NormAttention(BasePooling):
    """Weights by the norm at each position (NAE+).

    The norm map goes through batch norm and a sigmoid; the result is the
    mean over positions of the unit feature times its weight.
    :class:`PixelNormClassifier` scores people by the same map.

    Source: Chen et al., "Norm-Aware Embedding for Efficient Person Search",
    CVPR 2020, section 3.3.
    """

    projected = True

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)

    def forward(self, f: Tensor) -> tuple[Tensor, Tensor]:
        """See :meth:`BasePooling.forward`; logits of the weights."""
        length = torch.linalg.vector_norm(f.float(), dim=1, keepdim=True)
        logits = batch_norm(self.norm, length)
        unit = f / length.clamp(min=1e-12)
        return (unit * logits.sigmoid()).flatten(2).mean(2), logits[:, 0]

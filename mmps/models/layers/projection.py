"""Projections of RoI features to embeddings, and their variance."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import build_norm_layer
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmps.registry import MODELS

from .batch_norm import batch_norm


@MODELS.register_module()
class LinearProjection(BaseModule):
    """Linear layer and batch norm per level, side by side.

    One level (the shared head's output) is OIM's projection; two (the RoI
    feature before the shared head and after it) are NAE's. It works on
    pooled features and on maps; maps of other sizes than the last level's
    are resized to it, bilinearly, once they are projected (NAE+).

    Args:
        in_channels (int | Sequence[int]): Of each level that is read, the
            last ones of those given. Defaults to 2048.
        embed_dims (int): Size of the embedding, shared out evenly to the
            levels. Defaults to 256.
        norm (bool | dict): Batch norm behind the linear layer, or the config
            of another norm, such as ``dict(type='mmps.ProtoNorm')``. Defaults
            to True.
        init_std (float, optional): Linear weights and the batch norm's scale
            start from a normal distribution of this width, as published
            (0.01). None keeps the scale at 1. Defaults to 0.01.

    Raises:
        ValueError: ``embed_dims`` cannot be shared out.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int] = 2048,
        embed_dims: int = 256,
        norm: bool | dict = True,
        init_std: float | None = 0.01,
    ) -> None:
        super().__init__()
        if isinstance(in_channels, int):
            in_channels = (in_channels,)
        if embed_dims % len(in_channels):
            raise ValueError(
                f'LinearProjection: embed_dims={embed_dims} cannot be shared '
                f'out to {len(in_channels)} levels'
            )
        self.in_channels = tuple(in_channels)
        self.embed_dims = embed_dims
        self.init_std = init_std
        width = embed_dims // len(in_channels)
        if norm is True:
            norm = dict(type='BN')
        self.levels = nn.ModuleList()
        self.norms = nn.ModuleList()
        for channels in in_channels:
            self.levels.append(nn.Conv2d(channels, width, 1, bias=not norm))
            self.norms.append(
                build_norm_layer(norm, width)[1] if norm else None
            )

    def init_weights(self) -> None:
        """Start as published; see ``init_std``."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=self.init_std or 0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif (
                isinstance(module, _BatchNorm)
                and module.affine
                and self.init_std
            ):
                nn.init.normal_(module.weight, std=self.init_std)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Project and concatenate.

        Args:
            levels: Per level (N, C) or (N, C, H, W).

        Returns:
            (N, D) or (N, D, H, W), the size of the last level's map.

        Raises:
            ValueError: There are fewer levels than it reads.
        """
        if len(levels) < len(self.levels):
            raise ValueError(
                f'LinearProjection: reads {len(self.levels)} levels, got '
                f'{len(levels)}'
            )
        levels = levels[-len(self.levels) :]
        pooled = levels[-1].dim() == 2
        if pooled:
            levels = [x[:, :, None, None] for x in levels]
        parts = []
        for x, layer, norm in zip(
            levels, self.levels, self.norms, strict=True
        ):
            x = layer(x)
            parts.append(x if norm is None else batch_norm(norm, x))
        size = parts[-1].shape[2:]
        out = torch.cat(
            [
                x
                if x.shape[2:] == size
                else F.interpolate(
                    x, size=size, mode='bilinear', align_corners=False
                )
                for x in parts
            ],
            1,
        )
        return out.flatten(1) if pooled else out


@MODELS.register_module()
class UncertaintyGuidance(BaseModule):
    r"""A variance for every embedding, in training only (UG).

    The embedding is a distribution N(mu, sigma^2), mu the unit embedding
    times sqrt(D), so that its values are of the order of 1 whatever the
    projection's length says of the score (NAE); this module gives log sigma^2
    from the features that are projected. The network that is tested is the
    same with and without it.

    - ``'sample'``: the loss sees ``z = mu + eps sigma``, and a divergence
      keeps the distribution near N(0, 1).
    - ``'attenuate'``: the loss l of a sample becomes ``l / sigma^2 + log
      sigma^2``, with the mean of log sigma^2 over dimensions.

    Source: UGAS; Chang et al., "Data Uncertainty Learning in Face
    Recognition", CVPR 2020.

    Args:
        in_channels (int | Sequence[int]): As of the projection.
        embed_dims (int): As of the projection. Defaults to 256.
        mode (str): 'sample' or 'attenuate'. Defaults to 'sample'.
        loss_kl (dict): Defaults to ``dict(type='mmps.GaussianKLLoss')``; not
            used by 'attenuate'.
        init_log_variance (float): log sigma^2 at the start. Defaults to -2.

    Raises:
        ValueError: ``mode`` is unknown.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int] = 2048,
        embed_dims: int = 256,
        mode: str = 'sample',
        loss_kl: dict | None = None,
        init_log_variance: float = -2.0,
    ) -> None:
        super().__init__()
        if mode not in ('sample', 'attenuate'):
            raise ValueError(
                "UncertaintyGuidance: mode must be 'sample' or 'attenuate', "
                f'got {mode!r}'
            )
        self.mode = mode
        self.init_log_variance = init_log_variance
        self.projection = LinearProjection(in_channels, embed_dims)
        self.loss_kl = None
        if mode == 'sample':
            self.loss_kl = MODELS.build(
                loss_kl or dict(type='mmps.GaussianKLLoss')
            )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Variances of a batch; asked for in training only.

        Args:
            levels: Per level (N, C), the pooled features that the projection
                reads, too.

        Returns:
            (N, D) log sigma^2, fp32.
        """
        return self.projection(levels).float() + self.init_log_variance

    def sample(self, embeddings: Tensor, log_variance: Tensor) -> Tensor:
        """Draw one z per embedding, which the loss sees in its place.

        Args:
            embeddings: (N, D) unit vectors.
            log_variance: (N, D), see :meth:`forward`.

        Returns:
            (N, D), around the unit vector times sqrt(D); not normalised.
        """
        noise = torch.randn_like(embeddings) * (log_variance / 2).exp()
        return self._mean(embeddings) + noise

    def divergence(self, embeddings: Tensor, log_variance: Tensor) -> Tensor:
        """``loss_kl`` of the distributions; with mode 'sample'.

        Args:
            embeddings: (N, D) unit vectors.
            log_variance: (N, D), see :meth:`forward`.

        Returns:
            () loss.
        """
        return self.loss_kl(self._mean(embeddings), log_variance)

    @staticmethod
    def _mean(embeddings: Tensor) -> Tensor:
        return embeddings * embeddings.size(1) ** 0.5

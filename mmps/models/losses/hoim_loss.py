"""Hierarchical online instance matching: its two losses."""

import torch
import torch.nn.functional as F
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.registry import MODELS

from ..memories import MemoryReadout
from .functional import person_logits, softmax_focal_loss
from .oim_loss import OIMLoss


@MODELS.register_module()
class HOIMLoss(OIMLoss):
    """Focal OIM, weighted by how sure the memory is that a sample is a person.

    A labelled sample's term is ``lambda focal(p_t)`` with p_t over
    prototypes and queue and ``lambda = lambda_scale p_fg^2`` without
    gradient, p_fg the probability of a person in one softmax over
    [background | prototypes | queue]. The mean is over all samples, with 0
    for unlabelled ones. Without a background queue in the memory lambda is
    ``lambda_scale``.

    With a margin it is IIDFC's HOIM-FC; the margin is not in p_fg.

    Source: Chen et al., "Hierarchical Online Instance Matching for Person
    Search" (HOIM), AAAI 2020; IIDFC, eq. 12 to 14.

    Args:
        alpha: Factor of the focal loss. Defaults to 0.25.
        gamma: Exponent of the focal loss; None takes the plain
            cross-entropy. Defaults to 2.0.
        lambda_scale: Factor of lambda; IIDFC's text has 2. Defaults to 1.0.
        **kwargs: See :class:`OIMLoss`.
    """

    needs_cosines = True  # for p_fg

    def __init__(
        self,
        alpha: float = 0.25,
        gamma: float | None = 2.0,
        lambda_scale: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(gamma=gamma, **kwargs)
        self.alpha = 1.0 if gamma is None else alpha
        self.lambda_scale = lambda_scale

    def sample_losses(
        self, readout: MemoryReadout, person_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`OIMLoss.sample_losses`."""
        loss, counted = super().sample_losses(readout, person_ids)
        loss = self.lambda_scale * self.alpha * loss
        if readout.background is not None:
            # The background has the temperature of the prototypes.
            share = self.temperature / self.column_temperature(readout)
            logits = person_logits(
                readout.cosine.detach() * share,
                readout.valid,
                readout.background.detach(),
                readout.background_valid,
                self.temperature,
            )
            loss = logits.softmax(1)[:, 0].square() * loss
        return loss, counted

    def num_averaged(self, counted: Tensor) -> int:
        """All samples, labelled or not."""
        return len(counted)


@MODELS.register_module()
class SoftmaxFocalLoss(nn.Module):
    """Focal loss on the softmax of a few classes, one alpha for all.

    HOIM's detection loss: two classes, person and background. mmdet's focal
    loss has one sigmoid per class and alpha only for positives.

    Source: HOIM; Lin et al., "Focal Loss for Dense Object Detection", eq. 5.

    Args:
        alpha: Factor. Defaults to 0.25.
        gamma: Exponent, 0 or at least 1. Defaults to 2.0.
        loss_weight: Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: The exponent is between 0 and 1, or negative: a sample
            without loss would have no gradient.
    """

    def __init__(
        self, alpha: float = 0.25, gamma: float = 2.0, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if gamma != 0 and not gamma >= 1:
            raise ValueError(
                f'SoftmaxFocalLoss: gamma must be 0 or at least 1, got {gamma}'
            )
        self.alpha = alpha
        self.gamma = gamma
        self.loss_weight = loss_weight

    def forward(
        self,
        cls_score: Tensor,
        label: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Loss as mmdet's bbox heads call it.

        Args:
            cls_score: (N, classes) logits.
            label: (N,) int64.
            weight: (N,). Defaults to None.
            avg_factor: Divisor of the sum; None for N. Defaults to None.
            reduction_override: 'none', 'mean' or 'sum'. Defaults to 'mean'.

        Returns:
            () float32 loss, or (N,) for 'none'.
        """
        dtype = torch.promote_types(cls_score.dtype, torch.float32)
        loss = F.cross_entropy(cls_score.to(dtype), label, reduction='none')
        loss = softmax_focal_loss(loss, self.alpha, self.gamma)
        return self.loss_weight * weight_reduce_loss(
            loss, weight, reduction_override or 'mean', avg_factor
        )

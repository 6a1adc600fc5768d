"""Balanced online instance matching loss."""

from typing import Literal

import torch
from torch import Tensor

from mmps.registry import MODELS

from ..memories import MemoryReadout
from .functional import hard_negative_loss, prototype_density
from .oim_loss import OIMLoss


@MODELS.register_module()
class BOIMLoss(OIMLoss):
    """OIM weighted by the density of the prototypes, plus hard negatives.

    ``w L_OIM + L_neg``, see :func:`prototype_density` and
    :func:`hard_negative_loss`. The weight moves slowly: it is taken anew
    every ``refresh_interval`` training steps, and it and its age are buffers,
    so that a resumed run goes on as if it had not stopped.

    Source: Yang et al., "Multi-task Feature Decomposition based Marginal
    Distribution for Person Search" (FDPS), eq. 9 to 11.

    Args:
        sigma: Share of the own similarity that makes a negative hard.
            Defaults to 0.5 (the paper names no value).
        beta: Lower bound of the similarity that is punished. Defaults to 0.3
            (the paper names no value).
        alpha: Of w; 'auto' makes it a mean. Defaults to 'auto'.
        refresh_interval: Steps that a weight holds. Defaults to 10.
        use_density: Weight OIM by w. Defaults to True.
        use_negatives: Add L_neg. Defaults to True.
        **kwargs: See :class:`OIMLoss`.

    Raises:
        ValueError: An option is out of range.
    """

    needs_cosines = True  # for the hard negatives

    def __init__(
        self,
        sigma: float = 0.5,
        beta: float = 0.3,
        alpha: float | Literal['auto'] = 'auto',
        refresh_interval: int = 10,
        use_density: bool = True,
        use_negatives: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if refresh_interval < 1:
            raise ValueError(
                'BOIMLoss: refresh_interval must be at least 1, got '
                f'{refresh_interval}'
            )
        if isinstance(alpha, str) and alpha != 'auto':
            raise ValueError(
                f"BOIMLoss: alpha must be a number or 'auto', got {alpha!r}"
            )
        self.sigma = sigma
        self.beta = beta
        self.alpha = alpha
        self.refresh_interval = refresh_interval
        self.use_density = use_density
        self.use_negatives = use_negatives
        self.register_buffer('density', torch.tensor(1.0))
        self.register_buffer('steps', torch.tensor(0))
        # The host's copy of `steps`; read from the device once after loading.
        self._steps: int | None = None

    def sample_losses(
        self, readout: MemoryReadout, person_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`OIMLoss.sample_losses`."""
        loss, counted = super().sample_losses(readout, person_ids)
        if self.use_density:
            if self.training:
                self._refresh(readout)
            loss = self.density * loss
        if self.use_negatives:
            negatives = hard_negative_loss(
                readout.cosine[:, : readout.num_ids],
                person_ids,
                readout.filled[: readout.num_ids],
                self.sigma,
                self.beta,
            )
            loss = loss + negatives * counted
        return loss, counted

    def _refresh(self, readout: MemoryReadout) -> None:
        if self._steps is None:
            self._steps = int(self.steps)
        if self._steps % self.refresh_interval == 0:
            filled = readout.filled[: readout.num_ids]
            self.density = prototype_density(
                readout.prototypes, filled, self.alpha
            ).to(self.density)
        self._steps += 1
        self.steps.fill_(self._steps)

    def _load_from_state_dict(self, *args, **kwargs) -> None:
        self._steps = None
        super()._load_from_state_dict(*args, **kwargs)

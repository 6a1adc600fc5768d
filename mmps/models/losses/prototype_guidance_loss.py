"""Loss that teaches a saliency map the identity's prototype."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmps.registry import MODELS

from ..memories import MemoryReadout
from ..utils import samples_per_process


@MODELS.register_module()
class PrototypeGuidanceLoss(nn.Module):
    r"""``sum_hw (M - A)^2``, M the prototype's response at each position.

    ``M = ReLU(cos(v_id, f_hw))`` with the prototype before this step's
    update; neither v nor f gets a gradient. The mean is over labelled RoIs
    whose prototype is filled.

    The weight is 0 until every prototype is filled, or until
    ``warmup_iters`` training steps have passed, since an identity that never
    occurs would block it for ever. The number of steps is a buffer, so a
    resumed run goes on as if it had not stopped.

    Source: Kim et al., "Prototype-Guided Saliency Feature Learning for Person
    Search" (PGSFL), CVPR 2021, eq. 5, 6 and 9.

    Args:
        loss_weight: Lambda. Defaults to 0.1.
        warmup_iters: Steps after which the weight holds in any case; one
            epoch of the data set (with n processes an n-th of what one
            needs). Defaults to 1500.
    """

    def __init__(
        self, loss_weight: float = 0.1, warmup_iters: int = 1500
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.warmup_iters = warmup_iters
        self.register_buffer('steps', torch.tensor(0))

    def forward(
        self,
        attention: Tensor,
        features: Tensor,
        readout: MemoryReadout,
        person_ids: Tensor,
    ) -> Tensor:
        """Loss of one batch of people.

        Args:
            attention: (P, H, W) maps A.
            features: (P, D, H, W) that A weighs.
            readout: The memory before this step.
            person_ids: (P,) contiguous ids, -1 for unlabelled.

        Returns:
            () loss; a zero in the graph where nobody counts.
        """
        filled = readout.filled[: readout.num_ids]
        own = person_ids.clamp(min=0)
        counted = (person_ids >= 0) & filled[own]
        response = guidance(features, readout.prototypes[own])
        distance = (response - attention.float()).square().flatten(1).sum(1)
        active = filled.all() | (self.steps >= self.warmup_iters)
        if self.training:
            self.steps += 1
        weight = self.loss_weight * (counted & active)
        divisor = samples_per_process(counted.sum(), person_ids)
        return (weight * distance).sum() / divisor


@torch.no_grad()
def guidance(features: Tensor, prototypes: Tensor) -> Tensor:
    """(P, D, H, W) features and (P, D) prototypes to (P, H, W) M."""
    return F.cosine_similarity(
        features.float(), prototypes[:, :, None, None], dim=1
    ).relu()

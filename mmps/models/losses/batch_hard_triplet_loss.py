"""Triplet loss of the hardest samples, prototypes among them."""

import torch
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.models.utils.person_ids import check_person_ids
from mmps.registry import MODELS

from ..memories import MemoryReadout
from ..utils import gather_samples, samples_per_process
from .functional import batch_hard_triplet_loss


@MODELS.register_module()
class BatchHardTripletLoss(nn.Module):
    """Triplet loss over the labelled people of a step and their prototypes.

    For every sample its farthest sample of the same person and the nearest
    of another, see
    :func:`~mmps.models.losses.functional.batch_hard_triplet_loss`. With
    ``prototypes`` the memory row of every labelled sample is one more sample
    of that person, so that people who are alone in the step have a positive;
    beside :class:`OIMLoss` this is AlignPS' TOIM. Rows that hold nothing yet
    are left out. Samples of other processes take part.

    Source: Yan et al., "Anchor-Free Person Search" (AlignPS), CVPR 2021;
    Hermans et al., "In Defense of the Triplet Loss for Person
    Re-Identification".

    Args:
        margin: In Euclidean distance. Defaults to 0.3.
        prototypes: Whether memory rows take part. Defaults to True.
        loss_weight: Factor of the loss. Defaults to 1.0.
    """

    def __init__(
        self,
        margin: float = 0.3,
        prototypes: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.prototypes = prototypes
        self.loss_weight = loss_weight

    def forward(
        self,
        readout: MemoryReadout,
        person_ids: Tensor,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Loss of one batch.

        Args:
            readout: The memory's answer to the batch's N unit embeddings.
            person_ids: (N,) contiguous ids, -1 for unlabelled, who take no
                part.
            avg_factor: Divisor of the sum. None takes the number of labelled
                samples and of their rows, averaged over the processes.
                Defaults to None.

        Returns:
            () float32 loss (float64 for float64 embeddings), a zero tied to
            the graph if nobody has a negative.

        Raises:
            TypeError: ``person_ids`` are not integers.
            ValueError: Wrong shape or, on the CPU, an id above L - 1.
        """
        check_person_ids(
            type(self).__name__, person_ids, len(readout), readout.num_ids
        )
        own = self._with_prototypes(readout, readout.x, person_ids.long())
        others = self._with_prototypes(
            readout, *gather_samples(readout.x, person_ids.long())
        )
        loss = batch_hard_triplet_loss(*own, *others, self.margin)
        if avg_factor is None:
            labelled = (own[1] >= 0).sum()
            avg_factor = samples_per_process(labelled, loss)
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

    def _with_prototypes(
        self, readout: MemoryReadout, x: Tensor, person_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        if not self.prototypes:
            return x, person_ids
        row = person_ids.clamp(0, readout.num_ids - 1)
        rows = readout.prototypes[row].to(x.dtype)
        known = readout.filled[row]
        return (
            torch.cat((x, rows)),
            torch.cat((person_ids, person_ids.masked_fill(~known, -1))),
        )

"""Online instance matching loss."""

from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.registry import MODELS
from mmps.utils.person_ids import check_person_ids

from ..memories import MemoryReadout
from .functional import oim_loss


@MODELS.register_module()
class OIMLoss(nn.Module):
    """Cross-entropy of the true identity over prototypes and queue.

    The memory is read before the step's update. Unlabelled samples have no
    loss term; with ``unfilled='mask'`` in the memory neither have samples
    whose own prototype is still unfilled. No term at all gives a zero that
    is tied to the graph.

    Source: Xiao et al., "Joint Detection and Identification Feature Learning
    for Person Search", CVPR 2017, eq. 1 and 3.

    Args:
        temperature: Softmax temperature. Defaults to 1/30.
        loss_weight: Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(
        self, temperature: float = 1 / 30, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f'OIMLoss: temperature must be positive, got {temperature}'
            )
        self.temperature = temperature
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
            person_ids: (N,) contiguous ids, -1 for unlabelled.
            avg_factor: Divisor of the sum. None takes the number of samples
                that have a loss term. Defaults to None.

        Returns:
            () float32 loss (float64 for float64 embeddings).

        Raises:
            TypeError: ``person_ids`` are not integers.
            ValueError: Wrong shape or, on the CPU, an id above L - 1.
        """
        check_person_ids(
            'OIMLoss', person_ids, len(readout.cosine), readout.num_ids
        )
        # On an accelerator, too, such an id must not hit a queue column.
        target = person_ids.long().masked_fill(
            person_ids >= readout.num_ids, readout.cosine.size(1)
        )
        loss, counted = oim_loss(
            readout.cosine, target, readout.valid, self.temperature
        )
        if avg_factor is None:
            avg_factor = counted.sum().clamp(min=1)
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

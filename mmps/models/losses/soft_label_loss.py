"""Self-distillation from the deep to the shallow branch."""

import torch
from torch import Tensor, nn

from mmps.registry import MODELS

from ..memories import MemoryReadout
from ..utils import samples_per_process
from .functional import soft_label_loss


@MODELS.register_module()
class SoftLabelLoss(nn.Module):
    """KL divergence between two embeddings' softmaxes over their memories.

    Source: UGAS, self-distillation (SD) from the deep to the shallow branch;
    labelled and unlabelled people take part.

    Args:
        temperature: Softmax temperature. Defaults to 1/30.
        loss_weight: Factor of the loss. Defaults to 1.0.
    """

    needs_cosines = True

    def __init__(
        self, temperature: float = 1 / 30, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(
        self, teacher: MemoryReadout, student: MemoryReadout
    ) -> Tensor:
        """Mean over the samples.

        Args:
            teacher: Of N people; gets no gradient.
            student: Of the same people, from a memory whose columns stand
                for the same identities and queue entries.

        Returns:
            () loss; a zero in the graph for N = 0.
        """
        loss = soft_label_loss(
            teacher.cosine,
            student.cosine,
            same_columns(teacher, student),
            self.temperature,
        )
        divisor = samples_per_process(len(loss), loss)
        return self.loss_weight * loss.sum() / divisor


def same_columns(one: MemoryReadout, other: MemoryReadout) -> Tensor:
    """(L + Q,) bool, columns that stand for the same people and take part.

    Prototypes always do. Queues that were filled side by side have equal
    pointers; if only one came with a checkpoint, their slots hold different
    people for good, and none of them takes part.
    """
    queue = torch.arange(len(one.filled), device=one.filled.device)
    queue = queue >= one.num_ids
    same = (one.queue_pointer == other.queue_pointer) & (
        one.filled == other.filled
    )
    same = same | ~queue
    for readout in (one, other):
        if readout.valid is not None:
            same = same & readout.valid
    return same

"""How unlabelled embeddings enter the queue."""

from abc import ABCMeta, abstractmethod

import torch
from torch import Tensor, nn

from mmps.registry import MODELS


class BaseQueueRule(nn.Module, metaclass=ABCMeta):
    """Interface of the rules that fill the queue.

    A rule is a module, so that scores it keeps per slot are saved with the
    memory: it registers them in :meth:`allocate`, which is called once, when
    the memory is built.
    """

    def allocate(self, queue_size: int) -> None:
        """Create the rule's own buffers, one entry per slot.

        Args:
            queue_size: Number of slots Q, at least 1.
        """

    def reset(self) -> None:
        """Return the rule's own buffers to their start."""

    @abstractmethod
    def forward(
        self,
        queue: Tensor,
        filled: Tensor,
        pointer: Tensor,
        x: Tensor,
        mask: Tensor,
        reference: Tensor,
        reference_filled: Tensor,
    ) -> None:
        """Push one step's samples in place, in batch order.

        Called once per step before the prototypes change, without gradient
        and outside autocast, with the samples of all processes in rank
        order, so the rule must be deterministic.

        Args:
            queue: (Q, D) rows, zero where unfilled, Q >= 1; changed.
            filled: (Q,) bool; changed.
            pointer: () int64, next slot; changed.
            x: (N, D) embeddings in the dtype of ``queue``, N >= 1.
            mask: (N,) bool, the samples to push; may be all False.
            reference: (R, D) rows that a selective rule compares x with (for
                the unlabelled queue the prototypes); read only.
            reference_filled: (R,) bool.
        """


@MODELS.register_module()
class CircularQueue(BaseQueueRule):
    """Keep the last Q samples; the pointer wraps around (OIM).

    Works without waiting for the device: every sample writes, and those not
    to be pushed repeat the write of one that is.
    """

    def forward(
        self,
        queue: Tensor,
        filled: Tensor,
        pointer: Tensor,
        x: Tensor,
        mask: Tensor,
        reference: Tensor,
        reference_filled: Tensor,
    ) -> None:
        """See :meth:`BaseQueueRule.forward`; the reference is not used."""
        turn = mask.cumsum(0)
        total = turn[-1]
        # Of more samples than slots, the earlier ones would be overwritten.
        keep = mask & (total - turn < len(queue))
        position = torch.arange(len(x), device=x.device)
        source = torch.where(keep, position, keep.long().argmax())
        slot = (pointer + turn - 1)[source] % len(queue)
        pushed = total > 0
        value = torch.where(pushed, x[source], queue[slot])
        queue.index_copy_(0, slot, value)
        filled.index_copy_(0, slot, filled[slot] | pushed)
        pointer.copy_((pointer + total) % len(queue))

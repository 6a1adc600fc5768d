"""Rules by which unlabelled embeddings enter the queue."""

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
            x: (N, D) embeddings in the dtype of ``queue``; N may be 0.
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
        if len(x) == 0:
            return
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


@MODELS.register_module()
class SelectiveRefreshQueue(BaseQueueRule):
    """Keep the most informative samples (HOIM's selective refreshment).

    A sample's score is its greatest similarity to the reference rows divided
    by its greatest similarity to the queue, between 0 and ``max_score``: it
    looks like a person, and like nobody in the queue. One after another the
    samples replace the slot of the smallest score (of equal ones the oldest)
    unless their own is smaller. Scores of filled slots decay every step, also
    in one without samples.

    All similarities are taken once, against the memory before the step, so
    the rule is one sort: of slots and samples together the Q best stay.

    Source: Chen et al., "Hierarchical Online Instance Matching for Person
    Search" (HOIM), AAAI 2020. The published code does not bound the score,
    which reaches 1e11 while the queue is empty.

    Args:
        decay: Factor of the stored scores per step. Defaults to 0.99.
        max_score: Upper bound. Defaults to 10.0.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(self, decay: float = 0.99, max_score: float = 10.0) -> None:
        super().__init__()
        if not 0 < decay <= 1 or not max_score > 0:
            raise ValueError(
                'SelectiveRefreshQueue: needs 0 < decay <= 1 and max_score > '
                f'0, got decay={decay}, max_score={max_score}'
            )
        self.decay = decay
        self.max_score = max_score

    def allocate(self, queue_size: int) -> None:
        """See :meth:`BaseQueueRule.allocate`."""
        self.register_buffer('scores', torch.full((queue_size,), -1.0))

    def reset(self) -> None:
        """See :meth:`BaseQueueRule.reset`."""
        self.scores.fill_(-1)

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
        """See :meth:`BaseQueueRule.forward`; the pointer is not used.

        Unfilled rows are zero and so count with similarity 0.
        """
        score = self.score(x, queue, reference).to(self.scores)
        # -1 marks an unfilled slot, -2 what must not enter.
        score = torch.where(mask, score, -2)
        num, slots = len(x), len(queue)
        # Stable: of equal scores the newest come first and stay.
        ages = torch.cat([score.flip(0), self.scores.flip(0)])
        best = ages.argsort(descending=True, stable=True)[:slots]
        # An assignment by index would wait for the device.
        stays = torch.zeros_like(ages, dtype=torch.bool)
        stays.index_fill_(0, best, True)
        enters, stays = stays[:num].flip(0), stays[num:].flip(0)

        # The k-th sample that enters takes the k-th slot that is given up.
        position = torch.arange(num, device=x.device)
        turn = torch.where(enters, enters.cumsum(0) - 1, num)
        entering = position.new_zeros(num + 1).scatter(0, turn, position)
        given_up = ((~stays).cumsum(0) - 1).clamp(0, num)
        own = torch.arange(slots, device=x.device)
        source = torch.where(stays, own, slots + entering[given_up])
        queue.copy_(torch.cat([queue, x])[source])
        filled.copy_(torch.cat([filled, mask])[source])
        scores = torch.cat([self.scores, score])[source]
        self.scores.copy_(torch.where(filled, scores * self.decay, scores))

    def score(self, x: Tensor, queue: Tensor, reference: Tensor) -> Tensor:
        """(N,) scores of samples against the rows as they stand."""
        known = (x @ reference.T).amax(1)
        stored = (x @ queue.T).amax(1)
        ratio = known / stored.clamp(min=1e-12)
        return ratio.clamp(0, self.max_score)

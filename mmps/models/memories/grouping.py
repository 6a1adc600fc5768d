"""Groups of one step's samples by person id, without waiting for a device."""

from collections.abc import Iterator
from functools import cached_property

import torch
from torch import Tensor


def _readable(tensor: Tensor) -> bool:
    """Whether the host reads values of this tensor without waiting."""
    return tensor.device.type == 'cpu'


class IdGroups:
    """Samples of one step, grouped by person id, batch order kept.

    Update rules that act sample after sample per identity use it to act on
    all identities at once: round r holds the r-th sample of every identity.

    On the CPU there is one group per identity that occurs. On an accelerator
    the number of identities is not known to the host without waiting for the
    device, so there is one group per sample: the samples of one identity
    (and those to be left out) are copies of the same group, compute the same
    value bit by bit, and write it to the same row.

    Args:
        x: (N, D) embeddings, N >= 1.
        person_ids: (N,) int64 ids, negative for unlabelled.
        usable: (N,) bool, False for samples to leave out. Unlabelled samples
            and ids outside the memory are left out in any case.
        num_ids: Number of prototypes L.
        max_repeats: Upper bound on the rounds on an accelerator: of an id
            with more samples only the last ``max_repeats`` act. None reads
            the true number from the device (one synchronisation). On the CPU
            the true number is always used. Defaults to None.

    Attributes:
        rows: (G,) int64 prototype row of each group.
        starts: (G,) int64 place of each group's first sample in ``samples``.
        counts: (G,) int64 number of samples of each group.
        samples: (N, D) embeddings, sorted by identity; those that are left
            out come last.
    """

    def __init__(
        self,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        num_ids: int,
        max_repeats: int | None = None,
    ) -> None:
        usable = usable & (person_ids >= 0) & (person_ids < num_ids)
        key, order = person_ids.masked_fill(~usable, num_ids).sort(stable=True)
        start = torch.searchsorted(key, key)
        end = torch.searchsorted(key, key, right=True)
        position = torch.arange(len(key), device=key.device)
        if _readable(key):
            first = (start == position) & (key < num_ids)
            group = first.nonzero().flatten()
        else:
            # Left-out samples sort last; they repeat the first group.
            group = position.masked_fill(key == num_ids, 0)
        key = key[group]
        self.rows = key.clamp(max=num_ids - 1)
        self.counts = (end - start)[group].masked_fill(key == num_ids, 0)
        self.starts = start[group]
        # The last row is the zero that stands for "no such sample".
        self._x = torch.cat([x[order], x.new_zeros(1, x.size(1))])
        self.samples = self._x[:-1]
        self._max_repeats = max_repeats

    @classmethod
    def of_parts(
        cls,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        num_ids: int,
        size: int,
    ) -> Iterator['IdGroups']:
        """Yield the groups of ``size`` samples at a time, in batch order.

        On the CPU all samples are one part. For the arguments see the class.
        """
        size = len(x) if _readable(x) else size
        parts = (t.split(size) for t in (x, person_ids, usable))
        for part in zip(*parts, strict=True):
            yield cls(*part, num_ids)

    @cached_property
    def on_host(self) -> bool:
        """Whether there is one group per identity, as on the CPU."""
        return _readable(self.rows)

    @cached_property
    def num_rounds(self) -> int:
        """The largest number of samples of an identity, or its bound."""
        if self.on_host or self._max_repeats is None:
            return int(self.counts.max()) if len(self.counts) else 0
        return min(len(self.samples), self._max_repeats)

    def rounds(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield every group's next sample, in batch order.

        Yields:
            ``(x, active)``: (G, D) the groups' r-th samples, zero rows where
            a group has none left, and the (G, 1) bool mask of those that do.
        """
        turn = torch.arange(self.num_rounds, device=self.rows.device)[:, None]
        skipped = (self.counts - self.num_rounds).clamp(min=0)
        active = turn < self.counts - skipped
        index = (self.starts + skipped + turn).masked_fill(
            ~active, len(self._x) - 1
        )
        for i in range(self.num_rounds):
            yield self._x.index_select(0, index[i]), active[i, :, None]

    def write(self, prototypes: Tensor, filled: Tensor, value: Tensor) -> None:
        """Store the groups' new prototypes in place.

        A value that is zero (samples that cancelled out) or not finite is
        not written: its row stays as it was.

        Args:
            prototypes: (L, D) rows to change.
            filled: (L,) bool flags to change.
            value: (G, D) new rows.
        """
        moved = (self.counts > 0) & value.any(1) & value.isfinite().all(1)
        old = prototypes.index_select(0, self.rows)
        value = torch.where(moved[:, None], value, old)
        prototypes.index_copy_(0, self.rows, value)
        flags = filled.index_select(0, self.rows) | moved
        filled.index_copy_(0, self.rows, flags)

"""Read-only view of the identity memory for re-id losses."""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class MemoryReadout:
    """Similarities of a batch to a snapshot of the memory.

    Columns are the L prototypes followed by the Q queue rows, as they stood
    when the memory was read. Nothing shares storage with the memory, so an
    update before the backward pass changes nothing here. Products are taken
    when they are asked for, in float32 (float64 for float64 embeddings),
    also under autocast; they alone carry a gradient. Where none is needed,
    detach them: they are kept for those who ask later.

    Attributes:
        x: (N, D) unit embeddings.
        rows: (L + Q, D) snapshot of the memory, zero where unfilled.
        valid: (L + Q,) bool, columns that take part in the softmax; None
            if all do.
        filled: (L + Q,) bool, rows that hold a feature.
        num_ids: L, number of labelled identities.
        queue_pointer: () int64, the queue's next slot.
        background_rows: (B, D) snapshot of the background queue; None if the
            memory has none.
        background_valid: (B,) bool, its columns that take part; None if all
            do.
        shared: Whether a part besides the re-id loss needs the cosines
            (:func:`needs_cosines`). They are then taken once, for all
            samples; a re-id loss alone may leave samples out, or do without.
    """

    x: Tensor
    rows: Tensor
    valid: Tensor | None
    filled: Tensor
    num_ids: int
    queue_pointer: Tensor
    background_rows: Tensor | None = None
    background_valid: Tensor | None = None
    shared: bool = False

    def __len__(self) -> int:
        """Number of samples N."""
        return len(self.x)

    @property
    def prototypes(self) -> Tensor:
        """(L, D) prototype snapshot."""
        return self.rows[: self.num_ids]

    @cached_property
    def cosine(self) -> Tensor:
        """(N, L + Q) products with the memory rows; 0 for unfilled ones."""
        return _product(self.x, self.rows)

    @cached_property
    def background(self) -> Tensor | None:
        """(N, B) products with the background queue, or None."""
        if self.background_rows is None:
            return None
        return _product(self.x, self.background_rows)

    def select(self, rows: Tensor) -> 'MemoryReadout':
        """The readout of some of the batch's samples.

        Args:
            rows: (P,) indices or (N,) mask.

        Returns:
            The same snapshot for these samples; what was computed is kept.
        """
        part = replace(self, x=self.x[rows])
        for name in ('cosine', 'background'):
            if self.__dict__.get(name) is not None:
                part.__dict__[name] = self.__dict__[name][rows]
        return part


def needs_cosines(*parts: nn.Module | None) -> bool:
    """Whether one of the parts declares that it needs the cosines.

    Args:
        *parts: Parts that get a :class:`MemoryReadout`, with an attribute
            ``needs_cosines`` (without one they do not); None for parts that
            are not configured.
    """
    return any(getattr(part, 'needs_cosines', False) for part in parts)


def _product(x: Tensor, rows: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        dtype = torch.promote_types(x.dtype, rows.dtype)
        return x.to(dtype) @ rows.to(dtype).T

"""What a re-id loss sees of the identity memory."""

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class MemoryReadout:
    """Similarities of a batch to a snapshot of the memory.

    Columns are the L prototypes followed by the Q queue rows, as they stood
    when the memory was read. No field shares storage with the memory, so an
    update before the backward pass changes nothing here.

    Attributes:
        cosine: (N, L + Q) float32 (float64 for float64 input) products of
            the unit embeddings with the memory rows; the only field that
            carries a gradient. An unfilled row gives 0.
        valid: (L + Q,) bool, columns that take part in the softmax.
        filled: (L + Q,) bool, rows that hold a feature.
        num_ids: L, number of labelled identities.
        prototypes: (L, D) prototype snapshot, without gradient.
        background: (N, B) products with the background queue, with gradient;
            None if the memory has none.
        background_valid: (B,) bool, its columns that take part.
    """

    cosine: Tensor
    valid: Tensor
    filled: Tensor
    num_ids: int
    prototypes: Tensor
    background: Tensor | None = None
    background_valid: Tensor | None = None

    def select(self, rows: Tensor) -> 'MemoryReadout':
        """The readout of some of the batch's samples.

        Args:
            rows: (P,) indices or (N,) mask.

        Returns:
            The same snapshot with the rows' similarities.
        """
        background = self.background
        if background is not None:
            background = background[rows]
        return replace(self, cosine=self.cosine[rows], background=background)

"""Outputs of a re-id head for RoIs."""

from typing import NamedTuple

from torch import Tensor

from ..memories import MemoryReadout


class ReIDFeatures(NamedTuple):
    """Embeddings of N RoIs and what they were made of.

    Attributes:
        mean: (N, D) mu, any length, fp32 at least.
        embeddings: (N, D) unit mu, likewise.
        sampled: (N, D) unit vectors that the loss sees; the embeddings
            themselves without uncertainty guidance.
        log_variance: (N, D) log sigma^2 in training with uncertainty
            guidance, else None.
        attention: (N, H, W) weights of the pooling, or None.
        map: (N, D, H, W) projected map where the pooling reads one, or None.
        readout: The memory's answer to ``embeddings`` where a classifier asks
            for it, else None.
    """

    mean: Tensor
    embeddings: Tensor
    sampled: Tensor
    log_variance: Tensor | None
    attention: Tensor | None
    map: Tensor | None
    readout: MemoryReadout | None

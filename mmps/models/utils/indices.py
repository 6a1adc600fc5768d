"""Indices without waiting for the device."""

import torch
from torch import Tensor


def true_indices(mask: Tensor, count: int) -> Tensor:
    """Where a mask is True, if the host knows how often.

    ``nonzero`` makes the host wait for the device, to learn the number.

    Args:
        mask: (n,) bool.
        count: How many of its values are True.

    Returns:
        (count,) int64 indices, ascending.
    """
    rank = torch.arange(1, count + 1, device=mask.device)
    return torch.searchsorted(mask.cumsum(0), rank)

"""Batch norm for batches that may be too small for it."""

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .proto_norm import ProtoNorm


def batch_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """Apply a batch norm; one value per channel has no variance of its own.

    Such a batch, and an empty one, is normalised by the running statistics,
    which stay as they are. Synchronised norms see the other processes'
    values and are left alone, as are norms of another kind.

    Args:
        norm: The layer, usually a batch norm.
        x: (N, C) or (N, C, H, W).

    Returns:
        The same shape.
    """
    values = x.numel() // x.size(1)
    needs_values = (
        isinstance(norm, _BatchNorm)
        and not isinstance(norm, (nn.SyncBatchNorm, ProtoNorm))
        and norm.running_mean is not None
    )
    if not norm.training or values > 1 or not needs_values:
        return norm(x)
    return F.batch_norm(
        x,
        norm.running_mean,
        norm.running_var,
        norm.weight,
        norm.bias,
        eps=norm.eps,
    )

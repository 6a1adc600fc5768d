"""The least precision that losses and norms compute in."""

import torch
from torch import Tensor


def precise(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))

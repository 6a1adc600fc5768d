"""Dtypes that mmcv's operators can take."""

import torch
from torch import Tensor


def not_bfloat16(x: Tensor) -> Tensor:
    """fp32 in the place of bfloat16, for which RoIAlign has no kernel."""
    return x.float() if x.dtype == torch.bfloat16 else x

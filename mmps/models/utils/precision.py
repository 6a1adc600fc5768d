"""Maps in a form that mmcv's operators can take."""

import torch
from torch import Tensor


def for_roi_align(x: Tensor) -> Tensor:
    """A map that mmcv's RoIAlign reads rightly.

    It has no kernel for bfloat16, and it reads a channels-last map as if it
    were a plain one, without a word.

    Args:
        x: (N, C, H, W).

    Returns:
        In the plain memory order, fp32 in the place of bfloat16.
    """
    return (x.float() if x.dtype == torch.bfloat16 else x).contiguous()

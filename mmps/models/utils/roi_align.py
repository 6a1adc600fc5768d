"""mmcv's RoIAlign on maps of any dtype and memory order, and on no RoI."""

from mmcv.ops import RoIAlign
from torch import Tensor

from .precision import precise


def for_roi_align(x: Tensor) -> Tensor:
    """A map that mmcv's RoIAlign reads correctly.

    It has no kernel for bfloat16, and it silently reads a channels-last map as
    if it were contiguous. mmdet gives RoIs the dtype of the map: in fp16 their
    coordinates are rounded, and the areas by which it chooses a level of a
    pyramid overflow from 256 x 256 pixels on.

    Args:
        x: (N, C, H, W).

    Returns:
        Contiguous, fp32 in the place of bfloat16 and fp16.
    """
    return precise(x).contiguous()


def run_roi_align(layer: RoIAlign, x: Tensor, rois: Tensor) -> Tensor:
    """RoIAlign that takes a map of any precision, and no RoI at all.

    CUDA refuses to launch mmcv's kernel without RoIs.

    Args:
        layer: mmcv's operator.
        x: (N, C, H, W).
        rois: (n, 5), image index and xyxy.

    Returns:
        (n, C, h, w) fp32; of no RoI, an empty one in the graph of ``x``.
    """
    x = for_roi_align(x.float())
    # Not len(): export would fix the number of RoIs.
    if rois.size(0):
        return layer(x, rois)
    return x.new_zeros(0, x.size(1), *layer.output_size) + x[:0].sum()

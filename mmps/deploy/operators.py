"""The operators of detectors for which ONNX has one of its own.

mmcv's are closed boxes to the exporter. These run mmcv's when they are
called, and become standard operators on export.
"""

from collections.abc import Callable

import torch
from mmcv.ops import nms as mmcv_nms
from mmcv.ops import roi_align as mmcv_roi_align
from torch import Tensor


def _operator(name: str, fake: Callable) -> Callable[[Callable], Callable]:
    """Make a function an operator that the exporter can follow.

    Before torch 2.4, which has none of its own making, it stays a function.

    Args:
        name: Of the operator.
        fake: Gets the same arguments; returns tensors of the result's shapes
            and dtypes.
    """

    def decorate(function: Callable) -> Callable:
        if not hasattr(torch.library, 'custom_op'):
            return function
        operator = torch.library.custom_op(name, mutates_args=())(function)
        operator.register_fake(fake)
        return operator

    return decorate


def _fake_nms(
    boxes: Tensor,
    scores: Tensor,
    iou_thr: float,
    score_thr: float,
    max_num: int,
) -> tuple[Tensor, Tensor]:
    index = scores.new_empty(max_num, dtype=torch.long)
    return index, torch.empty_like(index, dtype=torch.bool)


def _fake_roi_align(
    x: Tensor, rois: Tensor, height: int, width: int, *_: float
) -> Tensor:
    return x.new_empty(rois.size(0), x.size(1), height, width)


@_operator('mmps::nms', _fake_nms)
def nms(
    boxes: Tensor,
    scores: Tensor,
    iou_thr: float,
    score_thr: float,
    max_num: int,
) -> tuple[Tensor, Tensor]:
    """Non-maximum suppression with a result of fixed size.

    Args:
        boxes: (n, 4) xyxy.
        scores: (n,).
        iou_thr: Boxes that overlap a better one more are dropped.
        score_thr: Boxes need a higher score.
        max_num: K, at most n.

    Returns:
        (K,) indices, best first; rows that are left over repeat the first.
        (K,) bool, which rows are none of these.
    """
    candidates = (scores > score_thr).nonzero().flatten()
    _, kept = mmcv_nms(boxes[candidates], scores[candidates], iou_thr)
    kept = candidates[kept[:max_num]]
    index = kept.new_zeros(max_num)
    if len(kept):
        index[:] = kept[0]
    index[: len(kept)] = kept
    return index, torch.arange(max_num, device=kept.device) < len(kept)


@_operator('mmps::roi_align', _fake_roi_align)
def roi_align(
    x: Tensor,
    rois: Tensor,
    height: int,
    width: int,
    spatial_scale: float,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """mmcv's RoIAlign with the mean over samples.

    Args:
        x: (N, C, H, W).
        rois: (n, 5), image index and xyxy in pixels of the input.
        height: h of the result.
        width: w of the result.
        spatial_scale: Cells per pixel.
        sampling_ratio: Samples per bin and axis; 0 to have one per cell.
        aligned: Whether a cell's centre lies half a cell from its corner.

    Returns:
        (n, C, h, w).
    """
    return mmcv_roi_align(
        x, rois, (height, width), spatial_scale, sampling_ratio, 'avg', aligned
    )


def translations() -> dict[Callable, Callable]:
    """How the exporter writes these operators; imports onnxscript."""
    from onnxscript import opset18 as op

    def ints(*values: int):
        return op.Constant(value_ints=values)

    def onnx_nms(boxes, scores, iou_thr, score_thr, max_num):
        picked = op.NonMaxSuppression(
            op.Unsqueeze(boxes, ints(0)),
            op.Unsqueeze(scores, ints(0, 1)),
            ints(max_num),
            op.Constant(value_floats=[iou_thr]),
            op.Constant(value_floats=[score_thr]),
        )
        # Rows are image, class and box.
        kept = op.Squeeze(op.Slice(picked, ints(2), ints(3), ints(1)), ints(1))
        count = op.Shape(kept)
        first = op.Slice(op.Concat(kept, ints(0), axis=0), ints(0), ints(1))
        rest = op.Expand(first, op.Sub(ints(max_num), count))
        index = op.Concat(kept, rest, axis=0)
        rows = op.Constant(value_ints=list(range(max_num)))
        return index, op.Less(rows, count)

    def onnx_roi_align(
        x, rois, height, width, spatial_scale, sampling_ratio, aligned
    ):
        image = op.Gather(rois, op.Constant(value_int=0), axis=1)
        return op.RoiAlign(
            x,
            op.Slice(rois, ints(1), ints(5), ints(1)),
            op.Cast(image, to=7),
            coordinate_transformation_mode=(
                'half_pixel' if aligned else 'output_half_pixel'
            ),
            mode='avg',
            output_height=height,
            output_width=width,
            sampling_ratio=sampling_ratio,
            spatial_scale=spatial_scale,
        )

    ops = torch.ops.mmps
    return {
        ops.nms.default: onnx_nms,
        ops.roi_align.default: onnx_roi_align,
    }

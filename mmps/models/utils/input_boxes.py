"""Boxes of test samples and results, in the network's input and back."""

from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_flip, get_box_tensor, scale_boxes
from mmdet.utils import InstanceList
from torch import Tensor


def boxes_in_input(sample: DetDataSample, field: str, like: Tensor) -> Tensor:
    """Boxes of a test sample's field in pixels of the network's input.

    Args:
        sample (DetDataSample): Its ``field``, if there, holds ``bboxes``
            (n, 4), xyxy in original pixels.
        field (str): 'gt_instances' or 'query_instances'.
        like (Tensor): Gives device and dtype.

    Returns:
        Tensor: (n, 4), scaled and flipped like the image; (0, 4) where the
        sample has no such field.
    """
    if field not in sample:
        return like.new_zeros(0, 4)
    boxes = get_box_tensor(getattr(sample, field).bboxes).to(like)
    boxes = scale_boxes(boxes, sample.scale_factor)
    if sample.get('flip', False):
        boxes = bbox_flip(boxes, sample.img_shape, sample.flip_direction)
    return boxes


def to_original_size(results: InstanceList, samples: SampleList) -> None:
    """Scale results from pixels of the network's input to original ones.

    Args:
        results: Per image ``bboxes`` (n, 4), and
            ``points`` (n, K, 2) where there are any.
        samples: Give the ``scale_factor``.
    """
    for result, sample in zip(results, samples, strict=True):
        inverse = [1 / s for s in sample.scale_factor]
        result.bboxes = scale_boxes(result.bboxes, inverse)
        if 'points' in result:
            result.points = scale_boxes(result.points, inverse)

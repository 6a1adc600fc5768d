"""Putting a frame's people into mmdet's keys, and filtering them."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes

from mmps.registry import TRANSFORMS

# The person ids of a frame while it is in a pipeline: besides boxes, labels,
# masks and flags mmdet's RandomCrop keeps this key alone in step.
PERSON_IDS_KEY = 'gt_instances_ids'
# The arrays with one row per person that travel through a pipeline.
ROW_KEYS = (
    'gt_bboxes',
    'gt_bboxes_labels',
    'gt_ignore_flags',
    PERSON_IDS_KEY,
)


@TRANSFORMS.register_module()
class LoadPersonAnnotations(BaseTransform):
    """Turn a frame's boxes and person ids into mmdet's pipeline keys.

    Person ids travel as ``gt_instances_ids``, the only additional key that
    transforms of mmdet know. In a test pipeline this comes after Resize:
    ground truth stays in pixels of the original image.

    Added keys: gt_bboxes (HorizontalBoxes, N x 4), gt_bboxes_labels (N,)
    int64 zeros, gt_ignore_flags (N,) bool, gt_instances_ids (N,) int64,
    contiguous, -1 for unlabelled people.
    """

    def transform(self, results: dict) -> dict:
        """Add the keys.

        Args:
            results: A frame from a person-search data set: either what its
                pipeline gets or what its ``get_data_info`` returns.

        Returns:
            The same dict.

        Raises:
            KeyError: It has no person annotations.
        """
        source = results.pop('person_annotations', results)
        if 'person_ids' not in source:
            raise KeyError(
                'LoadPersonAnnotations: no person_ids; expected a frame '
                'of a person-search data set, with annotations loaded once'
            )
        person_ids = np.array(source['person_ids'], dtype=np.int64)
        boxes = np.array(source['gt_bboxes'], dtype=np.float32)
        results.pop('person_ids', None)
        results['gt_bboxes'] = HorizontalBoxes(boxes.reshape(-1, 4))
        results['gt_bboxes_labels'] = np.zeros_like(person_ids)
        results['gt_ignore_flags'] = np.zeros(len(person_ids), dtype=bool)
        results[PERSON_IDS_KEY] = person_ids
        return results


@TRANSFORMS.register_module()
class FilterPersonAnnotations(BaseTransform):
    """Drop boxes that became too small, with their labels and ids.

    Args:
        min_size: A box needs more than this width and height in pixels of
            the transformed image. Defaults to (1, 1).
        keep_empty: Keep a frame that loses all its boxes. False drops it,
            and the data set takes a random other one. Defaults to True.
    """

    def __init__(
        self, min_size: tuple[float, float] = (1, 1), keep_empty: bool = True
    ) -> None:
        self.min_size = min_size
        self.keep_empty = keep_empty

    def transform(self, results: dict) -> dict | None:
        """Filter the people.

        Args:
            results: A frame with loaded annotations.

        Returns:
            The same dict, or None if it is to be dropped.
        """
        boxes = results['gt_bboxes']
        keep = (
            (boxes.widths > self.min_size[0])
            & (boxes.heights > self.min_size[1])
        ).numpy()
        if len(keep) and not keep.any() and not self.keep_empty:
            return None
        select_people(results, keep)
        return results


def select_people(results: dict, keep: np.ndarray) -> None:
    """Keep some people of a frame, in every array that describes them.

    Args:
        results: A frame with loaded annotations, changed in place.
        keep: (N,) bool mask or indices.
    """
    for key in ROW_KEYS:
        if key in results:
            results[key] = results[key][keep]


@TRANSFORMS.register_module()
class ClipQueryBoxes(BaseTransform):
    """Cut query boxes at the frame's edges (PCNet's release).

    Of PRW's 2,057 queries 56 reach out of their frame, by 9.7 pixels at most.

    Args:
        last_pixel (bool): Cut x2 and y2 at the last column and row inside,
            W - 1 and H - 1, as code does whose boxes end there
            (``inclusive_boxes`` of :class:`PCNetHead`), and not at W and H.
            Defaults to False.
    """

    def __init__(self, last_pixel: bool = False) -> None:
        self.last_pixel = last_pixel

    def transform(self, results: dict) -> dict:
        """Cut ``query_bboxes`` (q, 4), where a frame has them.

        Args:
            results: A frame with its image loaded.

        Returns:
            The same dict.
        """
        if 'query_bboxes' in results:
            height, width = results['ori_shape']
            largest = np.array([width, height] * 2) - int(self.last_pixel)
            results['query_bboxes'] = np.clip(
                results['query_bboxes'], 0, largest, dtype=np.float32
            )
        return results

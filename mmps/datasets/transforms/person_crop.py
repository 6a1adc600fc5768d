"""Random crop that knows how much of a person is left."""

import numpy as np
from mmdet.datasets.transforms import RandomCrop

from mmps.registry import TRANSFORMS

from .annotations import PERSON_IDS_KEY, select_people


@TRANSFORMS.register_module()
class PersonRandomCrop(RandomCrop):
    """mmdet's RandomCrop, without the people it cuts too much off.

    A sliver of a person would still be trained as that identity; mmdet
    keeps every box that shares a pixel with the crop.

    Args:
        crop_size: See mmdet's RandomCrop.
        min_visible: A box stays if at least this fraction of its area lies
            in the crop. Defaults to 0.3.
        **kwargs: See mmdet's RandomCrop.

    Raises:
        ValueError: ``min_visible`` is not in [0, 1].
    """

    def __init__(
        self, crop_size: tuple, min_visible: float = 0.3, **kwargs
    ) -> None:
        if not 0 <= min_visible <= 1:
            raise ValueError(
                f'PersonRandomCrop: min_visible is {min_visible}, expected '
                'a fraction in [0, 1]'
            )
        super().__init__(crop_size, **kwargs)
        self.min_visible = min_visible

    def _crop_data(
        self, results: dict, crop_size: tuple, allow_negative_crop: bool
    ) -> dict | None:
        before = results['gt_bboxes'].areas.numpy()
        # mmdet drops rows silently; their places tell which ones stayed.
        places = np.arange(len(before))
        person_ids = results[PERSON_IDS_KEY]
        results[PERSON_IDS_KEY] = places
        cropped = super()._crop_data(results, crop_size, allow_negative_crop)
        if cropped is None:
            return None
        kept = cropped[PERSON_IDS_KEY]
        cropped[PERSON_IDS_KEY] = person_ids[kept]
        boxes = cropped['gt_bboxes'].clone()
        boxes.clip_(cropped['img_shape'])
        # The relative slack lets a whole box pass min_visible=1.
        needed = self.min_visible * before[kept] * (1 - 1e-4)
        visible = boxes.areas.numpy() >= needed
        if not visible.any() and not allow_negative_crop:
            return None
        select_people(cropped, visible)
        return cropped

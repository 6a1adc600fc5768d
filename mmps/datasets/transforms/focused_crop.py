"""Crops that keep people whole, and the canvas around a frame for them."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness

from mmps.registry import TRANSFORMS

from .annotations import PERSON_IDS_KEY, select_people


@TRANSFORMS.register_module()
class PadAround(BaseTransform):
    """Put a frame in the middle of a black canvas, so that crops may leave it.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (SeqNeXt), WACV 2023; their final crops have three times the crop's size
    to lie in.

    Args:
        size (tuple[int, int]): Width and height; a frame that is larger
            keeps its own.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = tuple(size)

    def transform(self, results: dict) -> dict:
        """Pad ``img`` and move ``gt_bboxes``.

        Args:
            results: A frame with loaded annotations.

        Returns:
            The same dict.
        """
        height, width = results['img'].shape[:2]
        right, below = (
            max(wanted - side, 0)
            for wanted, side in zip(self.size, (width, height))
        )
        left, above = right // 2, below // 2
        results['img'] = cv2.copyMakeBorder(
            results['img'],
            *(above, below - above, left, right - left),
            cv2.BORDER_CONSTANT,
            value=0,
        )
        results['img_shape'] = results['img'].shape[:2]
        results['gt_bboxes'].translate_([left, above])
        return results


class _PeopleCrop(BaseTransform):
    """A crop that is resized to one size; subclasses choose its place."""

    def __init__(
        self, crop_size: tuple[int, int], min_visible: float = 0.6
    ) -> None:
        name = type(self).__name__
        if not 0 <= min_visible <= 1:
            raise ValueError(
                f'{name}: min_visible is {min_visible}, expected a fraction '
                'in [0, 1]'
            )
        self.crop_size = tuple(crop_size)
        self.min_visible = min_visible

    def _place(
        self, boxes: np.ndarray, person_ids: np.ndarray, size: np.ndarray
    ) -> np.ndarray:
        """Choose a crop.

        Args:
            boxes: (N, 4) of the people.
            person_ids: (N,), -1 for unlabelled ones.
            size: (2,) width and height of the frame.

        Returns:
            (4,) integers x1, y1, x2, y2; black where they leave the frame.
        """
        # Not abstract: abc would look it up on the class, where mmcv's
        # cache_randomness of subclasses fails.
        raise NotImplementedError

    def transform(self, results: dict) -> dict:
        """Crop ``img`` and what lies in it.

        Args:
            results: A frame with loaded annotations.

        Returns:
            The same dict; it may have lost all its people.
        """
        boxes = results['gt_bboxes']
        height, width = results['img'].shape[:2]
        x1, y1, x2, y2 = self._place(
            boxes.tensor.numpy(),
            results[PERSON_IDS_KEY],
            np.array([width, height]),
        ).tolist()
        img = results['img'][max(y1, 0) : y2, max(x1, 0) : x2]
        img = cv2.copyMakeBorder(
            img,
            *(max(-y1, 0), max(y2 - height, 0)),
            *(max(-x1, 0), max(x2 - width, 0)),
            cv2.BORDER_CONSTANT,
            value=0,
        )
        results['img'] = cv2.resize(img, self.crop_size)
        results['img_shape'] = results['img'].shape[:2]
        boxes.translate_([-x1, -y1])
        areas = boxes.areas.numpy()
        boxes.clip_((y2 - y1, x2 - x1))
        boxes.rescale_(
            (self.crop_size[0] / (x2 - x1), self.crop_size[1] / (y2 - y1))
        )
        share = (x2 - x1) * (y2 - y1) / np.prod(self.crop_size)
        visible = boxes.areas.numpy() * share
        # The relative slack lets a whole box pass min_visible=1.
        keep = (visible >= self.min_visible * areas * (1 - 1e-4)) & (
            visible > 0
        )
        select_people(results, keep)
        return results

    def __repr__(self) -> str:
        """Options shown by ``print``."""
        return (
            f'{type(self).__name__}(crop_size={self.crop_size}, '
            f'min_visible={self.min_visible})'
        )


@TRANSFORMS.register_module()
class FocusedCrop(_PeopleCrop):
    """Crop a window of one size around a random labelled person.

    The person lies in it whole; one who is larger than the window gets a
    square of that size, which is resized to the window. Without a labelled
    person the window lies anywhere in the frame. It lies in the frame as far
    as its size allows; :class:`PadAround` before it lets it leave.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (SeqNeXt), WACV 2023, random focused crop.

    Args:
        crop_size (tuple[int, int]): Width and height.
        min_visible (float): A box stays if at least this fraction of its
            area lies in the crop. Defaults to 0.6.

    Raises:
        ValueError: ``min_visible`` is not in [0, 1].
    """

    @cache_randomness
    def _place(
        self, boxes: np.ndarray, person_ids: np.ndarray, size: np.ndarray
    ) -> np.ndarray:
        window = np.array(self.crop_size)
        low, high = np.zeros(2, int), size - window
        labelled = np.flatnonzero(person_ids >= 0)
        if len(labelled):
            box = boxes[np.random.choice(labelled)]
            start, end = np.floor(box[:2]), np.ceil(box[2:])
            if (end - start > window).any():
                window = np.repeat(max(window.max(), (end - start).max()), 2)
            # From all of the person at the window's far end to its near one.
            low = np.maximum(end - window, 0)
            high = np.minimum(start, size - window)
        low, high = np.minimum(low, high), np.maximum(low, high)
        corner = np.random.randint(low, high + 1)
        return np.concatenate((corner, corner + window)).astype(int)


@TRANSFORMS.register_module()
class SafeCrop(_PeopleCrop):
    """Crop a random rectangle that holds all people, and resize it.

    Every side lies anywhere between the frame's edge and the people, of whom
    it may cut off a little; the proportions are not kept. A frame without
    people stays whole.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (SeqNeXt), WACV 2023, random safe crop.

    Args:
        crop_size (tuple[int, int]): Width and height.
        erosion (float): Share of a box's width and height that every side
            may lose. Defaults to 0.1.
        min_visible (float): A box stays if at least this fraction of its
            area lies in the crop. Defaults to 0.6.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        erosion: float = 0.1,
        min_visible: float = 0.6,
    ) -> None:
        super().__init__(crop_size, min_visible)
        if not 0 <= erosion < 0.5:
            raise ValueError(
                f'SafeCrop: erosion is {erosion}, expected 0 or more and '
                'less than 0.5'
            )
        self.erosion = erosion

    @cache_randomness
    def _place(
        self, boxes: np.ndarray, person_ids: np.ndarray, size: np.ndarray
    ) -> np.ndarray:
        if not len(boxes):
            return np.concatenate((np.zeros(2, int), size))
        margin = self.erosion * (boxes[:, 2:] - boxes[:, :2])
        first = (boxes[:, :2] + margin).min(0).clip(0, size)
        last = (boxes[:, 2:] - margin).max(0).clip(0, size)
        start = np.floor(first * np.random.random_sample(2))
        end = np.ceil(last + (size - last) * np.random.random_sample(2))
        # A person outside of the frame leaves nothing of it.
        start = np.minimum(start, size - 1)
        end = np.maximum(end, start + 1)
        return np.concatenate((start, end)).astype(int)

"""Frames whose pixels tell which person is where."""

from collections.abc import Callable

import numpy as np
import pytest
from mmdet.structures.bbox import HorizontalBoxes

WIDTH, HEIGHT = 400, 300


def person_color(person_id: int) -> int:
    """Grey level that stands for an id (-1 included)."""
    return 40 + 16 * (person_id + 1)


@pytest.fixture
def make_frame() -> Callable[..., dict]:
    """Maker of a frame as LoadPersonAnnotations leaves it.

    Each person is a rectangle in the grey level of their id on black.
    """

    def make(
        ids: list[int], seed: int = 0, channel: int | None = None
    ) -> dict:
        rng = np.random.default_rng(seed)
        image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        boxes = []
        for i, person in enumerate(ids):  # one column each: no overlap
            step = WIDTH // max(len(ids), 1)
            x1 = i * step + rng.integers(2, 6)
            x2 = (i + 1) * step - rng.integers(2, 6)
            y1, y2 = rng.integers(5, 60), rng.integers(200, 295)
            channels = slice(None) if channel is None else channel
            image[y1:y2, x1:x2, channels] = person_color(person)
            boxes.append([x1, y1, x2, y2])
        num = len(ids)
        return dict(
            img=image,
            img_shape=(HEIGHT, WIDTH),
            ori_shape=(HEIGHT, WIDTH),
            img_path='frame.jpg',
            gt_bboxes=HorizontalBoxes(
                np.array(boxes, np.float32).reshape(-1, 4)
            ),
            gt_bboxes_labels=np.zeros(num, np.int64),
            gt_ignore_flags=np.zeros(num, bool),
            gt_instances_ids=np.array(ids, np.int64),
            raw_person_ids=np.arange(100, 120),
        )

    return make


@pytest.fixture
def assert_in_step() -> Callable[..., None]:
    """Check of every box against the colour at its centre."""

    def check(results: dict, tolerance: int = 7) -> None:
        boxes = results['gt_bboxes'].tensor.numpy()
        ids = results['gt_instances_ids']
        assert len(boxes) == len(ids) == len(results['gt_bboxes_labels'])
        assert len(boxes) == len(results['gt_ignore_flags'])
        assert ids.dtype == np.int64
        assert (results['gt_bboxes_labels'] == 0).all()
        height, width = results['img'].shape[:2]
        for box, person in zip(boxes, ids.tolist()):
            x1, y1, x2, y2 = np.clip(box, 0, [width, height] * 2)
            if x2 - x1 < 4 or y2 - y1 < 4:
                continue
            level = results['img'][int((y1 + y2) / 2), int((x1 + x2) / 2)]
            assert abs(float(level.max()) - person_color(person)) <= tolerance

    return check

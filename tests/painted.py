"""Painted people, and a model that tells them apart by their colours.

For tests of everything that is built on a model but does not care which:
galleries, search, command line, web page. No training, no weights.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from mmps.apis.person_model import Detections, PersonModel
from mmps.gallery import GalleryHeader

DIM = 8
SIZE = (640, 360)
# Torso and legs, BGR; every pair is another person.
COLOURS = (
    ((40, 40, 220), (150, 60, 30)),
    ((60, 180, 40), (40, 40, 200)),
    ((220, 120, 20), (30, 160, 190)),
    ((30, 200, 230), (140, 30, 130)),
    ((180, 40, 170), (60, 150, 30)),
    ((200, 190, 30), (30, 60, 180)),
)
_GAINS = (1.0, 0.9, 1.08)
_MIN_AREA = 150


def paint_frame(
    people: Sequence[tuple[int, int, int]],
    camera: int = 0,
    size: tuple[int, int] = SIZE,
) -> tuple[np.ndarray, np.ndarray]:
    """Paint a grey place with people in it.

    Args:
        people: Index into :data:`COLOURS`, x of the middle, and height.
        camera: 0 to 2, each with its own windows and brightness.
        size: Width and height in pixels.

    Returns:
        (H, W, 3) uint8 BGR and the (n, 4) boxes.
    """
    width, height = size
    image = np.empty((height, width, 3), np.uint8)
    horizon = int(0.42 * height)
    image[:horizon] = np.linspace(150, 205, horizon)[:, None, None]
    image[horizon:] = np.linspace(95, 135, height - horizon)[:, None, None]
    for x in range(camera * 17 - 60, width, 110):
        corners = (x, 25), (x + 62, horizon - 30)
        cv2.rectangle(image, *corners, (178,) * 3, -1)
        cv2.rectangle(image, *corners, (120,) * 3, 2)
    boxes = []
    for person, x, tall in people:
        torso, legs = COLOURS[person]
        bottom = int(horizon + 0.62 * tall)
        top, half = bottom - tall, tall // 6
        neck, waist = top + tall // 6, top + tall // 2
        head = x, top + tall // 11
        cv2.circle(image, head, tall // 11, (90, 130, 215), -1)
        cv2.rectangle(image, (x - half, neck), (x + half, waist), torso, -1)
        for foot in (x - half // 2, x + half // 2):
            left, right = foot - half // 3, foot + half // 3
            cv2.rectangle(image, (left, waist), (right, bottom), legs, -1)
        boxes.append((x - half, top, x + half + 1, bottom + 1))
    image = np.clip(image * _GAINS[camera], 0, 255).astype(np.uint8)
    return image, np.array(boxes, np.float32).reshape(-1, 4)


def save_frames(folder: Path) -> Path:
    """Save pictures of cameras 0 to 2, 4 of each, 3 people in each.

    Args:
        folder: Gets ``cam0/0.png`` to ``cam2/3.png``.

    Returns:
        The folder.
    """
    rng = np.random.default_rng(0)
    for camera in range(3):
        (folder / f'cam{camera}').mkdir(parents=True)
        for number in range(4):
            people = [
                (int(person), 110 + 200 * place, int(rng.integers(120, 170)))
                for place, person in enumerate(rng.permutation(6)[:3])
            ]
            path = folder / f'cam{camera}' / f'{number}.png'
            cv2.imwrite(str(path), paint_frame(people, camera)[0])
    return folder


def save_video(path: Path) -> Path:
    """Save 2 seconds, 20 frames: one person walks, another stands.

    Args:
        path: ``*.avi``.

    Returns:
        The path.
    """
    codec = cv2.VideoWriter_fourcc(*'MJPG')
    writer = cv2.VideoWriter(str(path), codec, 10, SIZE)
    for number in range(20):
        people = [(0, 60 + 20 * number, 150), (3, 560, 140)]
        writer.write(paint_frame(people)[0])
    writer.release()
    return path


class PaintedPeopleModel(PersonModel):
    """Finds painted people by their saturation, embeds mean colours.

    Args:
        det_thr: As of ``PersonModel``; the scores fall from 0.97 to 0.6.
    """

    def __init__(self, det_thr: float = 0.5) -> None:
        self.det_thr = det_thr
        self.name = 'painted'
        self.num_images = 0

    def header(self, **changes: object) -> GalleryHeader:
        """A header of 8 dimensions."""
        data = dict(
            dim=DIM,
            model=self.name,
            model_hash='painted',
            det_thr=self.det_thr,
        )
        return GalleryHeader(**{**data, **changes})

    def prepare(
        self, image: np.ndarray, boxes: np.ndarray | None = None
    ) -> dict:
        """Nothing to do."""
        boxes = np.zeros((0, 4)) if boxes is None else np.asarray(boxes)
        return dict(image=image, boxes=boxes)

    def predict(
        self, prepared: Sequence[dict]
    ) -> list[tuple[Detections, np.ndarray]]:
        """Detections, and embeddings of the boxes."""
        self.num_images += len(prepared)
        return [
            (self._people(one['image']), _colours(one['image'], one['boxes']))
            for one in prepared
        ]

    def _people(self, image: np.ndarray) -> Detections:
        mask = _coloured(image).astype(np.uint8)
        mask = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((9, 9)))
        parts = cv2.connectedComponentsWithStats(mask)[2][1:]
        boxes = np.array(
            [
                (x, y, x + w, y + h)
                for x, y, w, h, area in sorted(parts.tolist())
                if area > _MIN_AREA
            ],
            np.float32,
        ).reshape(-1, 4)
        scores = np.linspace(0.97, 0.6, len(boxes), dtype=np.float32)
        found = Detections(boxes, scores, _colours(image, boxes))
        return found.take(scores >= self.det_thr)


def _coloured(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_BGR2HSV)[..., 1] > 80


def _colours(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(n, D) mean colours of upper and lower half, without what is grey."""
    out = np.zeros((len(boxes), DIM), np.float32)
    out[:, 6] = 0.1
    for i, (x1, y1, x2, y2) in enumerate(np.round(boxes).astype(int)):
        crop = image[max(y1, 0) : y2, max(x1, 0) : x2]
        for part, half in enumerate(np.array_split(crop, 2)):
            pixels = half[_coloured(half)] if half.size else half[:0, 0]
            if len(pixels):
                mean = pixels.mean(axis=0) / 110 - 1
                out[i, 3 * part : 3 * part + 3] = mean
    return out

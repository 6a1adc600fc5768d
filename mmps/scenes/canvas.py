"""A frame being drawn: who covers whom, and what is annotated."""

import cv2
import numpy as np

from .figure import Figure
from .furniture import Furniture
from .place import GRAIN_MARGIN, Place
from .stage import Standing
from .surface import blend

__all__ = ['Canvas']

# Left, top, right, bottom, in box heights.
_LOOSE = np.array([-0.006, -0.003, 0.006, 0.003])
_LEAST_SEEN = 0.35  # people with a smaller visible share are not annotated
_LEAST_HEIGHT = 0.05  # of the frame, likewise


class Canvas:
    """A frame while it is being drawn.

    Args:
        place: The empty place.
        rng: Source of the light.

    Attributes:
        image: (h, w, 3) uint8 BGR.
        owner: (h, w) uint8, which person (from 1, in drawing order) is
            seen at each pixel; 0 for none.
    """

    def __init__(self, place: Place, rng: np.random.Generator) -> None:
        self.place = place
        self.image = place.background.copy()
        self.owner = np.zeros(self.image.shape[:2], np.uint8)
        # Box of the part in the frame, its pixels, all pixels of the body.
        self.bodies: list[tuple[np.ndarray, float, float]] = []
        self._light = rng.uniform(0.92, 1.08)

    def shadow(self, where: Standing, figure: Figure, scale: float) -> None:
        """Darken the ground: under the feet, and away from the sun."""
        camera, body = self.place.camera, figure.body
        reach = where.height
        lean, rise = camera.light
        x0 = int(where.x - reach * 1.2)
        y0 = int(where.foot - reach * 0.35)
        wide, tall = int(reach * 2.4), int(reach * 0.46)
        left, top = max(x0, 0), max(y0, 0)
        right = min(x0 + wide, self.image.shape[1])
        bottom = min(y0 + tall, self.image.shape[0])
        if right - left < 3 or bottom - top < 3:
            return
        origin = (where.x - left, where.foot - top)
        dark = np.zeros((bottom - top, right - left), np.uint8)
        if camera.sun:
            a, b = scale, -scale * lean
            d = -scale * rise
            fx, fy = figure.foot
            matrix = np.array(
                [
                    [a, b, origin[0] - a * fx - b * fy],
                    [0, d, origin[1] - d * fy],
                ]
            )
            dark = cv2.warpAffine(body, matrix, dark.shape[::-1])
            dark = cv2.convertScaleAbs(dark, alpha=camera.sun)
        radius = (max(1, int(reach * 0.15)), max(1, int(reach * 0.04)))
        spot = np.zeros_like(dark)
        cv2.ellipse(
            spot,
            (round(origin[0]), round(origin[1])),
            radius,
            0,
            0,
            360,
            105,
            -1,
        )
        dark = cv2.blur(cv2.max(dark, spot), (max(1, int(reach * 0.04)),) * 2)
        region = self.image[top:bottom, left:right]
        light = cv2.merge([cv2.bitwise_not(dark)] * 3)
        region[:] = cv2.multiply(region, light, scale=1 / 255)

    def add_person(
        self,
        where: Standing,
        figure: Figure,
        scale: float,
        rng: np.random.Generator,
    ) -> None:
        """Draw a person over the image, and note the owner of its pixels."""
        height, width = figure.body.shape
        shape = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(figure.image, shape, interpolation=cv2.INTER_AREA)
        if figure.bare:
            body = image[..., 3].copy()
        else:
            body = cv2.resize(figure.body, shape, interpolation=cv2.INTER_AREA)
        self.place.record(image, rng.uniform(0.9, 1.1))  # sun and shade
        left = round(where.x - figure.foot[0] * scale)
        top = round(where.foot - figure.foot[1] * scale)
        solid = body > 127
        inside, cut = self._overlap(left, top, *shape)
        seen = np.zeros(4)
        if inside is not None:
            blend(self.image[inside], image[cut])
            owner = self.owner[inside]
            owner[image[cut][..., 3] > 127] = 0
            owner[solid[cut]] = len(self.bodies) + 1
            within = np.ascontiguousarray(solid[cut]).view(np.uint8)
            seen[:] = cv2.boundingRect(within)
            seen[:2] += inside[1].start, inside[0].start
            area = float(within.sum())
        else:
            area = 0.0
        self.bodies.append((seen, area, float(solid.sum())))

    def add_furniture(self, thing: Furniture) -> None:
        """Draw a piece of furniture over the image."""
        height, width = thing.image.shape[:2]
        inside, cut = self._overlap(
            thing.left, thing.foot - height, width, height
        )
        if inside is None:
            return
        blend(self.image[inside], thing.image[cut])
        self.owner[inside][thing.image[cut][..., 3] > 127] = 0

    def annotate(
        self, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return boxes (n, 4), which to keep (n,), hidden shares (n,)."""
        height, width = self.image.shape[:2]
        count = len(self.bodies)
        bins = [count + 1]
        seen = cv2.calcHist([self.owner], [0], None, bins, [0, count + 1])
        seen = seen[1:, 0].astype(float)
        boxes = np.array([body[0] for body in self.bodies]).reshape(-1, 4)
        inside, solid = np.array([body[1:] for body in self.bodies]).T
        corners = np.concatenate(
            [boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1
        )
        # Boxes drawn by hand are a little loose, and never exact.
        slip = rng.normal(0, 0.008, (count, 4)) + _LOOSE
        slip *= boxes[:, 3:]
        loose = rng.random(count) < 0.02  # some leave the frame a little
        corners = corners + slip
        limit = np.array([width, height, width, height], float)
        room = np.where(loose, 0.003 * width, 0.0)[:, None]
        clipped = np.clip(corners, -room, limit + room)
        size = clipped[:, 2:] - clipped[:, :2]
        hidden = 1 - seen / np.maximum(inside, 1)
        keep = seen >= np.maximum(_LEAST_SEEN * solid, 1)
        keep &= size[:, 1] >= _LEAST_HEIGHT * height
        boxes = np.concatenate([clipped[:, :2], size], 1)
        return np.round(boxes, 2), keep, hidden

    def develop(self, rng: np.random.Generator) -> np.ndarray:
        """Return the picture as the camera records it."""
        place, image = self.place, self.image
        height, width = image.shape[:2]
        blur = place.camera.blur * height / 1080
        if blur > 0.2:
            image = cv2.GaussianBlur(image, (3, 3), blur)
        y, x = rng.integers(0, GRAIN_MARGIN, 2)
        grain = place.grain[y : y + height, x : x + width]
        return cv2.addWeighted(image, self._light, grain, 1, -128)

    def _overlap(self, left: int, top: int, width: int, height: int):
        """Return slices of the frame and of a sprite put at left, top."""
        x0, y0 = max(left, 0), max(top, 0)
        x1 = min(left + width, self.image.shape[1])
        y1 = min(top + height, self.image.shape[0])
        if x1 <= x0 or y1 <= y0:
            return None, None
        return np.s_[y0:y1, x0:x1], np.s_[
            y0 - top : y1 - top, x0 - left : x1 - left
        ]

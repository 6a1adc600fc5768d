"""Things that stand in a place and hide a part of the people behind."""

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from .cameras import Camera, body_height
from .furniture_shapes import PAINTERS, PAINTS

__all__ = ['Furniture', 'make_furniture']

_ITEMS = {
    'street': ('car', 'bollards', 'lamp', 'planter', 'bin'),
    'hall': ('counter', 'planter', 'column', 'sign', 'bench'),
    'plaza': ('bench', 'planter', 'lamp', 'kiosk', 'bollards'),
    'park': ('hedge', 'bench', 'tree', 'bin', 'lamp'),
    'arcade': ('table', 'column', 'sign', 'planter', 'counter'),
    'station': ('bench', 'column', 'machine', 'sign', 'bin'),
}


@dataclass(frozen=True)
class Furniture:
    """One thing in the picture.

    Attributes:
        image: (h, w, 4) uint8, colours multiplied by alpha.
        left: Column of its left edge, may be negative.
        foot: Row at which it stands.
    """

    image: np.ndarray
    left: int
    foot: int

    @property
    def rect(self) -> tuple[int, int, int, int]:
        """Left, top, right and bottom."""
        height, width = self.image.shape[:2]
        return self.left, self.foot - height, self.left + width, self.foot

    @cached_property
    def dense(self) -> bool:
        """Whether it hides most of what is behind its rectangle."""
        return float((self.image[..., 3] > 127).mean()) > 0.6


def make_furniture(
    camera: Camera, size: tuple[int, int], rng: np.random.Generator
) -> list[Furniture]:
    """Return the furniture before a camera, from far to near.

    Args:
        camera: Geometry and kind.
        size: Width and height of the frame in pixels.
        rng: Source of choice and place.

    Returns:
        list[Furniture]: Four to six things.
    """
    width, height = size
    things = []
    count = int(rng.integers(4, 7))
    kinds = rng.choice(_ITEMS[camera.kind], count)
    for slot, kind in enumerate(kinds):
        level = camera.scale * body_height(rng.uniform(0.35, 0.9))
        foot = min(camera.foot(level), 1.04)
        metre = camera.metre(foot) * height
        # At least twice the final size, so that shrinking smooths it.
        drawn = max(32.0, 2 * metre)
        image = _draw(str(kind), drawn, rng)
        shrink = metre / drawn
        shape = (
            max(2, round(image.shape[1] * shrink)),
            max(2, round(image.shape[0] * shrink)),
        )
        image = cv2.resize(image, shape, interpolation=cv2.INTER_AREA)
        middle = (slot + rng.uniform(0.1, 0.9)) / count * width
        things.append(
            Furniture(
                image, round(middle - shape[0] / 2), round(foot * height)
            )
        )
    return sorted(things, key=lambda thing: thing.foot)


def _draw(kind: str, unit: float, rng: np.random.Generator) -> np.ndarray:
    (wide, tall), paint = PAINTERS[kind]
    image = np.zeros((round(tall * unit), round(wide * unit), 4), np.uint8)
    colour = np.array(PAINTS[rng.integers(len(PAINTS))]) * rng.uniform(
        0.8, 1.1
    )

    def rect(x0, y0, x1, y1, tone, factor=1.0) -> None:
        """Fill a rectangle given in metres from the lower left corner."""
        rows = image.shape[0]
        cv2.rectangle(
            image,
            (round(x0 * unit), rows - round(y1 * unit)),
            (round(x1 * unit) - 1, rows - round(y0 * unit) - 1),
            (*np.clip(np.multiply(tone, factor), 0, 255), 255),
            -1,
        )

    def poly(points, tone, factor=1.0) -> None:
        rows = image.shape[0]
        pixels = np.array([(x * unit, rows - y * unit) for x, y in points])
        cv2.fillPoly(
            image,
            [np.round(pixels).astype(np.int32)],
            (*np.clip(np.multiply(tone, factor), 0, 255), 255),
            cv2.LINE_AA,
        )

    def disc(x, y, radius, tone, factor=1.0) -> None:
        cv2.circle(
            image,
            (round(x * unit), round(image.shape[0] - y * unit)),
            round(radius * unit),
            (*np.clip(np.multiply(tone, factor), 0, 255), 255),
            -1,
            cv2.LINE_AA,
        )

    paint(rect, poly, disc, colour, rng)
    return image

"""Positions of people in a frame, and their occlusions."""

from dataclasses import dataclass

import numpy as np

from .cameras import Camera, body_height, body_quantile
from .furniture import Furniture

__all__ = ['Standing', 'place_people']

_HALF_WIDTH = 0.15  # of a body, in body heights
_TRIES = 12


@dataclass
class Standing:
    """A person's place; pixels.

    Attributes:
        slot: Position in the frame's list of people.
        height: Body height that the ground gives to a stature of 1.
        foot: Row of the feet.
        x: Column of the body's axis.
    """

    slot: int
    height: float
    foot: float
    x: float = 0.0

    @property
    def rect(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the body, about."""
        half = _HALF_WIDTH * self.height
        return self.x - half, self.foot - self.height, self.x + half, self.foot


def place_people(
    count: int,
    camera: Camera,
    furniture: list[Furniture],
    size: tuple[int, int],
    occlusion_rate: float,
    rng: np.random.Generator,
    heights: tuple[float, float] = (0.0, 1.0),
) -> list[Standing]:
    """Place ``count`` people before a camera.

    Args:
        count: Number of people.
        camera: Gives the height of a body at each row.
        furniture: What stands there already.
        size: Width and height of the frame in pixels.
        occlusion_rate: Share of people placed behind something.
        rng: Source of all places.
        heights: Least and greatest height of a body as shares of the
            frame's. Defaults to (0.0, 1.0).

    Returns:
        list[Standing]: From far to near.
    """
    width, height = size
    low, high = (body_quantile(h / camera.scale) for h in heights)
    people = []
    for slot in range(count):
        quantile = low + (high - low) * rng.random()
        level = camera.scale * body_height(quantile)
        people.append(
            Standing(slot, level * height, camera.foot(level) * height)
        )
    people.sort(key=lambda person: -person.foot)
    wanted = int(count * occlusion_rate + rng.random())
    solid = [thing.rect for thing in furniture if thing.dense]
    placed: list[Standing] = []
    for done, person in enumerate(people):
        before = [r for r in solid if r[3] > person.foot]
        before += [other.rect for other in placed]
        x = None
        # The nearest often have nothing before them; others make up for it.
        if before and rng.random() < wanted / (count - done):
            x = _behind(person, before, width, rng)
        if x is None:
            x = _clear(person, before, width, rng)
        else:
            wanted -= 1
        person.x = x
        placed.append(person)
    return placed[::-1]


def _covered(person: Standing, x: float, rects: list[tuple]) -> float:
    """Return the greatest share of a body at ``x`` that a rect covers."""
    half = _HALF_WIDTH * person.height
    top, bottom = person.foot - person.height, person.foot
    worst = 0.0
    for left, above, right, below in rects:
        wide = min(x + half, right) - max(x - half, left)
        tall = min(bottom, below) - max(top, above)
        if wide > 0 and tall > 0:
            worst = max(worst, wide * tall / (2 * half * (bottom - top)))
    return worst


def _clear(person, before, width, rng) -> float:
    """Return a column where the least of the person is hidden."""
    best, best_x = np.inf, 0.0
    for _ in range(_TRIES):
        x = rng.uniform(0.01, 0.99) * width
        hidden = _covered(person, x, before)
        if hidden < best:
            best, best_x = hidden, x
        if hidden < 0.01:
            break
    return best_x


def _behind(person, before, width, rng) -> float | None:
    """Return a column where a part of the person is hidden, None: nowhere."""
    best, best_x = 0.3, None
    wanted = rng.uniform(0.35, 0.7)
    for _ in range(3 * _TRIES):
        x = rng.uniform(0.02, 0.98) * width
        miss = abs(_covered(person, x, before) - wanted)
        if miss < best:
            best, best_x = miss, x
        if miss < 0.06:
            break
    return best_x

"""Drawing one person: the body, and things behind and before it."""

from dataclasses import dataclass

import cv2
import numpy as np

from .body import Body
from .people import HAND_THINGS, Appearance
from .pose import Pose, joints
from .surface import blend
from .things import Pen, draw_thing
from .wardrobe import Wardrobe

__all__ = ['Figure', 'draw_figure']

# Canvas in body heights: half width, above the head, below the feet.
_HALF, _ABOVE, _BELOW = 0.78, 1.34, 0.14


@dataclass(frozen=True)
class Figure:
    """A drawn person, cut to what was painted.

    Attributes:
        image: (h, w, 4) uint8 person with things, colours times alpha.
        body: (h, w) uint8 alpha of the body with clothes and backpack,
            without what sticks out of it.
        foot: (x, y) in the image of the point on the ground under the
            person.
        bare: Whether there is nothing but the body.
    """

    image: np.ndarray
    body: np.ndarray
    foot: tuple[float, float]
    bare: bool


def draw_figure(wardrobe: Wardrobe, pose: Pose) -> Figure:
    """Draw a person.

    Args:
        wardrobe: The dressed parts.
        pose: Posture and view.

    Returns:
        Figure: The picture.
    """
    person, unit = wardrobe.person, wardrobe.unit
    size = (round((_ABOVE + _BELOW) * unit), round(2 * _HALF * unit), 4)
    origin = np.array([_HALF * unit, _ABOVE * unit])
    body = np.zeros(size, np.uint8)

    def to_pixels(points: np.ndarray) -> np.ndarray:
        return origin + points[:, :2] * (unit, -unit)

    seen = joints(person, pose)
    flat = to_pixels(np.array(list(seen.values())))
    at = dict(zip(seen, flat, strict=True))
    near = {name: float(value[2]) for name, value in seen.items()}
    Body(wardrobe, pose, at, near, body).draw()

    behind, front = None, None
    for thing, colours in _worn(person):
        depth = _depth_of(thing, person, pose)
        if depth > 0:
            front = np.zeros(size, np.uint8) if front is None else front
        else:
            behind = np.zeros(size, np.uint8) if behind is None else behind
        layer = front if depth > 0 else behind
        hand = _hand_in_body(seen, person, pose)
        draw_thing(
            thing, Pen(layer, pose, to_pixels, unit), person, hand, colours
        )
    alpha = body[..., 3]
    whole = body if behind is None else behind
    if behind is not None:
        blend(whole, body)
    if front is not None:
        whole = whole.copy() if whole is body else whole
        blend(whole, front)
    x, y, width, height = cv2.boundingRect(whole[..., 3])
    cut = np.s_[y : y + height, x : x + width]
    foot = (origin[0] - x, origin[1] - y)
    return Figure(whole[cut], alpha[cut], foot, whole is body)


def _worn(person: Appearance) -> list[tuple[str, tuple]]:
    colours = person.thing_colours
    drawn = (*HAND_THINGS, 'satchel')
    return [
        (thing, colours if i == 0 else colours[::-1])
        for i, thing in enumerate(person.things)
        if thing in drawn
    ]


def _depth_of(thing: str, person: Appearance, pose: Pose) -> float:
    """Return a number above 0 where the thing is before the body."""
    if thing in ('umbrella', 'balloon'):
        return 1.0
    side = -person.hand if thing == 'satchel' else person.hand
    near = -side * np.sin(pose.yaw)
    if thing == 'bicycle':
        return near
    return near + 0.35  # a hanging arm is rarely hidden


def _hand_in_body(seen, person: Appearance, pose: Pose) -> np.ndarray:
    """Return the holding hand in body coordinates (undo the view)."""
    right, up, near = seen['hand+' if person.hand > 0 else 'hand-']
    cos, sin = np.cos(pose.yaw), np.sin(pose.yaw)
    x, z = right * cos - near * sin, right * sin + near * cos
    return np.array(
        [x, (up + near * np.sin(pose.pitch)) / np.cos(pose.pitch), z]
    )

"""Carried and pushed things, drawn as small solids."""

from collections.abc import Callable

import cv2
import numpy as np

from .people import Appearance
from .pose import Pose, project

__all__ = ['draw_thing']

_SHIFT = 4
_METAL = (92, 88, 86)
_RUBBER = (38, 36, 36)


class Pen:
    """Draws solids given in body coordinates into a canvas.

    Args:
        canvas: (h, w, 4) uint8, colours multiplied by alpha.
        pose: The view.
        to_pixels: Maps (n, 3) projected points to (n, 2) pixels.
        unit: Pixels of one body height.
    """

    def __init__(
        self,
        canvas: np.ndarray,
        pose: Pose,
        to_pixels: Callable[[np.ndarray], np.ndarray],
        unit: int,
    ) -> None:
        self.canvas, self.pose, self.unit = canvas, pose, unit
        self._to_pixels = to_pixels

    def pixels(self, points) -> np.ndarray:
        """Return body points as fixed-point pixels (n, 1, 2) int32."""
        flat = self._to_pixels(project(points, self.pose))
        return np.round(flat * 2**_SHIFT).astype(np.int32)[:, None]

    def line(self, points, colour, thickness: float, closed=False) -> None:
        """Draw a polyline; ``thickness`` is in body heights."""
        width = max(1, round(thickness * self.unit))
        cv2.polylines(
            self.canvas,
            [self.pixels(points)],
            closed,
            (*map(float, colour), 255),
            width,
            cv2.LINE_AA,
            _SHIFT,
        )

    def hull(self, points, colour) -> None:
        """Fill the outline of a convex solid."""
        outline = cv2.convexHull(self.pixels(points))
        cv2.fillConvexPoly(
            self.canvas,
            outline,
            (*map(float, colour), 255),
            cv2.LINE_AA,
            _SHIFT,
        )

    def box(self, centre, size, colour, band=None) -> None:
        """Draw a box: its outline in shade, the nearest face lit.

        Args:
            centre: (3,) body coordinates.
            size: (3,) extents.
            colour: BGR.
            band: BGR of a strip across the near face. Defaults to None.
        """
        centre, half = np.asarray(centre, float), np.asarray(size) / 2
        signs = np.array(
            [(i, j, k) for i in (-1, 1) for j in (-1, 1) for k in (-1, 1)]
        )
        self.hull(centre + signs * half, np.multiply(colour, 0.62))
        near_x, near_z = -np.sin(self.pose.yaw), np.cos(self.pose.yaw)
        axis = 0 if abs(near_x) * half[2] > abs(near_z) * half[0] else 2
        side = np.sign(near_x if axis == 0 else near_z) or 1.0
        face = signs[signs[:, axis] == side] * half
        self.hull(centre + face, colour)
        if band is not None:
            self.hull(centre + face * np.where([0, 1, 0], 0.22, 1), band)


def draw_thing(
    kind: str,
    pen: Pen,
    person: Appearance,
    hand: np.ndarray,
    colours: tuple,
) -> None:
    """Draw one thing.

    Args:
        kind: One of ``people.HAND_THINGS`` or 'satchel'.
        pen: Where and how to draw.
        person: The owner.
        hand: (3,) of the holding hand in body coordinates.
        colours: Main and second BGR.
    """
    _DRAW[kind](pen, person, np.asarray(hand, float), *colours)


def _handbag(pen, person, hand, main, second) -> None:
    centre = hand - (0, 0.13, 0)
    pen.line(
        [hand, centre + (0, 0.05, 0.06), centre + (0, 0.05, -0.06), hand],
        np.multiply(main, 0.6),
        0.012,
    )
    pen.box(centre, (0.05, 0.11, 0.17), main, second)


def _shopping(pen, person, hand, main, second) -> None:
    centre = hand - (0, 0.16, 0)
    pen.line(
        [hand, centre + (0, 0.1, 0.05), centre + (0, 0.1, -0.05), hand],
        (60, 60, 60),
        0.008,
    )
    pen.box(
        centre, (0.07, 0.21, 0.15), np.minimum(np.add(main, 50), 255), second
    )


def _briefcase(pen, person, hand, main, second) -> None:
    pen.box(hand - (0, 0.11, 0), (0.05, 0.16, 0.24), main)
    pen.line([hand - (0, 0.02, 0.04), hand - (0, 0.02, -0.04)], second, 0.014)


def _suitcase(pen, person, hand, main, second) -> None:
    ground = np.array([hand[0], 0.0, hand[2] - 0.12])
    pen.line([hand, ground + (0, 0.33, 0)], _METAL, 0.012)
    pen.box(ground + (0, 0.185, 0), (0.2, 0.3, 0.12), main, second)
    for side in (-0.07, 0.07):
        pen.line(
            [ground + (side, 0.03, 0), ground + (side, 0.0, 0)], _RUBBER, 0.03
        )


def _satchel(pen, person, hand, main, second) -> None:
    hip = np.array([-person.hand * 0.15 * person.girth**0.7, 0.5, -0.01])
    across = np.array([person.hand * 0.07, 0.83, 0.05])
    pen.line([across, hip + (0, 0.06, 0.07)], np.multiply(main, 0.7), 0.02)
    pen.box(hip, (0.05, 0.14, 0.19), main, second)


def _umbrella(pen, person, hand, main, second) -> None:
    top = np.array([hand[0] * 0.5, 1.17, 0.04])
    pen.line([hand - (0, 0.04, 0), top], _METAL, 0.012)
    turn = np.arange(16) * (2 * np.pi / 16)
    ring = np.stack([np.cos(turn), np.zeros(16), np.sin(turn)], 1)
    rim = top + ring * 0.32 - (0, 0.13, 0)
    middle = top + ring * 0.2 - (0, 0.04, 0)
    pen.hull(np.concatenate([rim, middle, [top]]), np.multiply(main, 0.8))
    order = np.argsort(project(rim, pen.pose)[:, 2])
    for i in order:  # far panels first
        if i % 4 < 2:
            colour = np.minimum(np.multiply(main, 1.1), 255)
        else:
            colour = second
        j = (i + 1) % 16
        pen.hull([rim[i], rim[j], middle[j], middle[i]], colour)
        pen.hull([middle[i], middle[j], top], colour)
    pen.line([top, top + (0, 0.03, 0)], _METAL, 0.01)


def _balloon(pen, person, hand, main, second) -> None:
    centre = np.array([hand[0], 1.18, hand[2]])
    pen.line([hand, centre - (0, 0.1, 0)], (200, 200, 200), 0.005)
    turn = np.arange(20) * (2 * np.pi / 20)
    ring = np.stack([np.cos(turn), np.sin(turn) * 1.15, np.zeros(20)], 1)
    # A ball looks round from everywhere: undo the turn of the view.
    cos, sin = np.cos(pen.pose.yaw), np.sin(pen.pose.yaw)
    flat = np.stack([ring[:, 0] * cos, ring[:, 1], ring[:, 0] * sin], 1)
    bright = np.clip(np.multiply(main, 1.1) + 30, 0, 255)
    pen.hull(centre + 0.1 * flat, bright)
    pen.hull(
        centre + 0.03 * flat + (-0.04 * cos, 0.05, -0.04 * sin),
        np.minimum(bright + 60, 255),
    )


def _bicycle(pen, person, hand, main, second) -> None:
    x = person.hand * 0.2
    turn = np.arange(20) * (2 * np.pi / 20)
    ring = np.stack([np.zeros(20), np.sin(turn), np.cos(turn)], 1)
    rear, front = np.array([x, 0.2, -0.2]), np.array([x, 0.2, 0.42])
    for hub in (rear, front):
        pen.line(hub + 0.19 * ring, _RUBBER, 0.022, closed=True)
        for spoke in range(0, 10, 2):
            pen.line(
                [hub + 0.18 * ring[spoke], hub + 0.18 * ring[spoke + 10]],
                (150, 150, 150),
                0.003,
            )
    pedal, seat = np.array([x, 0.18, 0.06]), np.array([x, 0.46, -0.05])
    head, bar = np.array([x, 0.48, 0.31]), np.array([x, 0.58, 0.3])
    for tube in (
        (rear, pedal),
        (rear, seat),
        (pedal, seat),
        (pedal, head),
        (seat, head),
        (front, bar),
    ):
        pen.line(tube, main, 0.02)
    pen.line([seat + (0, 0.05, -0.06), seat + (0, 0.05, 0.05)], _RUBBER, 0.03)
    pen.line([bar + (0.13, 0, -0.03), bar + (-0.13, 0, -0.03)], _METAL, 0.018)
    if person.texture_seed % 2:
        pen.box(front + (0, 0.26, 0.06), (0.2, 0.13, 0.15), second)


_DRAW = {
    'handbag': _handbag,
    'shopping': _shopping,
    'briefcase': _briefcase,
    'suitcase': _suitcase,
    'satchel': _satchel,
    'umbrella': _umbrella,
    'balloon': _balloon,
    'bicycle': _bicycle,
}

"""Body parts: a sheet of cloth wrapped round an elliptic tube, and pasting."""

from dataclasses import dataclass, field

import cv2
import numpy as np

__all__ = ['Sprite', 'Surface', 'blend', 'paste']

_STEPS = 96  # across a part
_ACROSS = (np.arange(_STEPS) + 0.5) * 2 / _STEPS - 1
_ANGLES = np.arcsin(_ACROSS)
# Light comes from the left and the front.
_SHADES = 0.53 + 0.47 * np.maximum(
    -0.45 * _ACROSS + 0.89 * np.cos(_ANGLES), 0
).astype(np.float32)


@dataclass(frozen=True)
class Sprite:
    """One view of a part.

    Attributes:
        image: (h, w, 4) uint8, colours multiplied by their alpha.
        centre: Column of the part's axis.
        top: Row of the axis' first end.
        bottom: Row of the axis' second end.
    """

    image: np.ndarray
    centre: float
    top: float
    bottom: float


@dataclass
class Surface:
    """A tube with an elliptic section, hanging along a vertical axis.

    Attributes:
        sheet: (h, w, 3) uint8 cloth, front in the middle column.
        profile: (h,) half widths seen from the front, in pixels.
        depth: Half width seen from the side over that from the front.
        top: Row of the axis' first end.
        bottom: Row of the axis' second end.
        views: Number of distinct directions. Defaults to 16.
    """

    sheet: np.ndarray
    profile: np.ndarray
    depth: float
    top: float
    bottom: float
    views: int = 16
    _views: dict[int, Sprite] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        # Gathering one number per pixel is faster than gathering three.
        packed = cv2.cvtColor(self.sheet, cv2.COLOR_BGR2BGRA)
        self._packed = packed.view(np.uint32).ravel()

    def view(self, yaw: float) -> Sprite:
        """Return the part turned by ``yaw`` radians (0: front, kept)."""
        key = round(yaw / (2 * np.pi) * self.views) % self.views
        if key not in self._views:
            self._views[key] = self._render(key * 2 * np.pi / self.views)
        return self._views[key]

    def _render(self, yaw: float) -> Sprite:
        rows, turn = self.sheet.shape[:2]
        cos, sin = np.cos(yaw), np.sin(yaw)
        squeeze = np.hypot(cos, self.depth * sin)
        half = np.maximum(self.profile * squeeze, 0.5).astype(np.float32)
        # Column of the sheet and brightness at each step across.
        t = _ANGLES - np.arctan2(self.depth * sin, cos)
        columns = np.floor((t / (2 * np.pi) + 0.5) * turn).astype(np.int32)
        columns %= turn
        radius = int(np.ceil(half.max())) + 2
        x = np.arange(-radius, radius + 1, dtype=np.float32)
        step = x * (0.5 * _STEPS / half)[:, None] + 0.5 * _STEPS
        step = np.clip(step, 0, _STEPS - 1).astype(np.int32)
        first = np.arange(rows, dtype=np.int32)[:, None] * turn
        colours = self._packed.take(columns[step] + first)
        colours = colours.view(np.uint8).reshape(rows, x.size, 4)
        alpha = np.clip(half[:, None] + 0.5 - np.abs(x), 0, 1)
        image = np.zeros((rows + 2, x.size, 4), np.uint8)
        # The empty rows at both ends let warping smooth them.
        image[1:-1] = colours * (_SHADES.take(step) * alpha)[..., None]
        image[1:-1, :, 3] = alpha * 255
        return Sprite(image, float(radius), self.top + 1, self.bottom + 1)


def blend(below: np.ndarray, above: np.ndarray) -> None:
    """Lay ``above`` over ``below``, in place.

    Args:
        below: (h, w, 3 or 4) uint8.
        above: (h, w, 4) uint8, multiplied by its alpha.
    """
    rest = 255 - above[..., 3]
    if below.shape[2] == 4:
        # The same byte four times: faster than merging four planes.
        rest = rest.astype(np.uint32) * np.uint32(0x01010101)
        rest = rest.view(np.uint8).reshape(above.shape)
    else:
        above = above[..., :3]
        rest = cv2.merge([rest] * 3)
    kept = cv2.multiply(below, rest, scale=1 / 255)
    np.add(kept, above, out=below)


def paste(
    canvas: np.ndarray,
    sprite: Sprite,
    start: np.ndarray,
    end: np.ndarray,
    across: float = 1.0,
    shortest: float = 0.35,
) -> None:
    """Draw a sprite with its axis from ``start`` to ``end``, in place.

    Args:
        canvas: (h, w, 4) uint8, colours multiplied by alpha.
        sprite: The part.
        start: (x, y) of the axis' first end.
        end: (x, y) of the second.
        across: Factor on the width. Defaults to 1.0.
        shortest: Least factor on the length; a part that points at the
            camera still has its thickness. Defaults to 0.35.
    """
    dx, dy = float(end[0] - start[0]), float(end[1] - start[1])
    length = float(np.hypot(dx, dy))
    scale = max(length / (sprite.bottom - sprite.top), shortest)
    ux, uy = (dx / length, dy / length) if length > 1e-3 else (0.0, 1.0)
    a, b = across * uy, scale * ux
    c, d = -across * ux, scale * uy
    tx = float(start[0]) - a * sprite.centre - b * sprite.top
    ty = float(start[1]) - c * sprite.centre - d * sprite.top
    rows, cols = sprite.image.shape[:2]
    xs = (tx, tx + a * cols, tx + b * rows, tx + a * cols + b * rows)
    ys = (ty, ty + c * cols, ty + d * rows, ty + c * cols + d * rows)
    left, top = max(int(min(xs)) - 1, 0), max(int(min(ys)) - 1, 0)
    right = min(int(max(xs)) + 2, canvas.shape[1])
    bottom = min(int(max(ys)) + 2, canvas.shape[0])
    if right <= left or bottom <= top:
        return
    matrix = np.array([[a, b, tx - left], [c, d, ty - top]])
    drawn = cv2.warpAffine(sprite.image, matrix, (right - left, bottom - top))
    blend(canvas[top:bottom, left:right], drawn)

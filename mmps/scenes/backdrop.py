"""Backdrop behind the people: sky, houses, walls, trees."""

import cv2
import numpy as np

from .cameras import Camera
from .ground import noise_texture, paint_ground

__all__ = ['paint_background']

_STONES = (
    (150, 168, 186),
    (122, 140, 168),
    (96, 112, 150),
    (170, 172, 172),
    (128, 126, 124),
    (148, 180, 196),
    (110, 150, 170),
    (190, 198, 202),
)
_SIGNS = (
    (44, 44, 190),
    (160, 90, 30),
    (60, 130, 40),
    (40, 170, 220),
    (120, 40, 120),
    (40, 40, 40),
)


def paint_background(
    camera: Camera, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return the empty place before a camera.

    Args:
        camera: Geometry and kind.
        size: Width and height in pixels.
        rng: Source of everything else.

    Returns:
        np.ndarray: (h, w, 3) uint8 BGR, before the camera's own colours.
    """
    width, height = size
    image = np.zeros((height, width, 3), np.float32)
    paint_ground(image, camera, rng)
    base = int((camera.horizon + 0.055 / camera.slope) * height)
    if base > 2:
        wall = _wall(camera, (width, base), height, rng)
        image[:base] = wall
        shade = np.linspace(0.66, 1, max(2, height // 30))[:, None, None]
        image[base : base + len(shade)] *= shade
    if camera.kind in ('park', 'plaza', 'street'):
        _trees(image, camera, base, rng)
    if camera.kind in ('street', 'arcade', 'hall', 'station'):
        _side_wall(image, camera, base, rng)
    fall = 1 + 0.1 * np.linspace(-1, 1, width) * rng.choice((-1, 1))
    return np.clip(image * fall[None, :, None], 0, 255).astype(np.uint8)


def _metre(camera: Camera, row: float, height: int) -> float:
    return max(camera.metre(row / height) * height, 0.8)


def _sky(width: int, rows: int, rng) -> np.ndarray:
    high = np.array(
        ((206, 150, 100), (214, 190, 170), (198, 196, 194))[rng.integers(3)]
    )
    mix = np.linspace(0, 1, rows)[:, None, None]
    sky = high * (1 - mix) + np.array([228, 224, 218]) * mix
    cloud = cv2.resize(noise_texture(rng), (width, rows))
    return sky + 12 * np.clip(cloud, 0, 2)[..., None]


def _wall(camera: Camera, size: tuple[int, int], height: int, rng):
    """Return the far side of the place, (rows, width, 3) float32."""
    width, rows = size
    metre = _metre(camera, rows, height)
    inside = camera.kind in ('hall', 'arcade', 'station')
    if inside:
        tone = np.array(_STONES[rng.integers(len(_STONES))]) * 0.95
        wall = (
            np.broadcast_to(tone, (rows, width, 3)).astype(np.float32).copy()
        )
    else:
        wall = _sky(width, rows, rng).astype(np.float32)
    left = -int(rng.uniform(0, 5) * metre)
    while left < width:
        span = int(metre * rng.uniform(6, 13)) + 8
        if camera.kind == 'park':
            wall[rows - int(2.2 * metre) :, max(left, 0) : left + span] = (
                np.array([48, 84, 62]) * rng.uniform(0.8, 1.1)
            )
        else:
            tall = rows if inside else int(metre * rng.uniform(6, 16))
            face = _facade(span, max(tall, 8), metre, inside, rng)
            top = max(rows - tall, 0)
            x0, x1 = max(left, 0), min(left + span, width)
            wall[top:, x0:x1] = face[
                tall - (rows - top) :, x0 - left : x1 - left
            ]
        left += span
    return wall


def _facade(width: int, height: int, metre: float, inside: bool, rng):
    """Return a house front or a piece of an inner wall."""
    stone = np.array(_STONES[rng.integers(len(_STONES))]) * rng.uniform(
        0.75, 1.05
    )
    face = np.broadcast_to(stone, (height, width, 3)).astype(np.float32).copy()
    grain = cv2.resize(noise_texture(rng, 64, 4), (width, height))
    face *= 1 + 0.04 * grain[..., None]
    glass = np.array([120, 104, 84]) * rng.uniform(0.5, 1.3)
    shop = int(3.4 * metre)
    step_x, step_y = (
        rng.uniform(2.0, 3.2) * metre,
        rng.uniform(2.9, 3.6) * metre,
    )
    top = height - shop - step_y
    while top > -step_y and not inside:
        x = 0.3 * step_x
        while x < width:
            y0, y1 = int(max(top + 0.25 * step_y, 0)), int(top + 0.8 * step_y)
            x0, x1 = int(x), int(x + 0.5 * step_x)
            if y1 > y0:
                light = rng.random() < 0.12
                face[y0:y1, x0:x1] = (150, 205, 230) if light else glass
                face[y1 : y1 + max(1, int(0.12 * metre)), x0:x1] = stone * 1.15
            x += step_x
        top -= step_y
    y0 = max(height - shop, 0)
    if rng.random() < 0.75:  # shop window, or poster wall inside
        colour = _SIGNS[rng.integers(len(_SIGNS))]
        y1, bar = height - int(0.4 * metre), int(0.75 * metre)
        edge = max(1, int(0.3 * metre))
        face[y0 + bar : y1, edge:-edge] = glass * rng.uniform(0.6, 1.5)
        pane = max(3, int(rng.uniform(1.1, 2.2) * metre))
        face[y0 + bar : y1, edge:-edge:pane] = stone * 0.7
        face[y0 : y0 + bar, edge:-edge] = colour
        for x in range(edge + bar, width - edge - bar, max(2, bar // 2)):
            if rng.random() < 0.7:  # letters
                face[
                    y0 + bar // 4 : y0 + 3 * bar // 4, x : x + max(1, bar // 4)
                ] = (235, 235, 235)
    if inside:
        lamp = max(2, int(0.25 * metre))
        for x in range(int(metre), width, max(4, int(3 * metre))):
            face[
                max(y0 - 3 * lamp, 0) : max(y0 - 2 * lamp, 0), x : x + 4 * lamp
            ] = (240, 248, 250)
    face[:, -1:] *= 0.6
    return face


def _trees(image: np.ndarray, camera: Camera, base: int, rng) -> None:
    height, width = image.shape[:2]
    metre = _metre(camera, base, height)
    for _ in range(rng.integers(3, 8)):
        x, size = rng.uniform(0, width), rng.uniform(2.2, 4.2) * metre
        y = base + rng.uniform(-0.3, 0.8) * metre
        trunk = max(1, int(0.3 * metre))
        cv2.line(
            image,
            (int(x), int(y)),
            (int(x), int(y - size)),
            (40, 56, 72),
            trunk,
            cv2.LINE_AA,
        )
        green = np.array([40, 96, 66]) * rng.uniform(0.7, 1.2)
        for _ in range(26):
            angle, far = rng.uniform(0, 2 * np.pi), np.sqrt(rng.random())
            cx = x + np.cos(angle) * far * size * 0.62
            cy = y - size * 1.1 + np.sin(angle) * far * size * 0.5
            lit = 1.0 - 0.35 * np.sin(angle) * far + rng.uniform(-0.1, 0.1)
            cv2.circle(
                image,
                (int(cx), int(cy)),
                max(1, int(size * 0.17)),
                tuple(map(float, green * lit)),
                -1,
                cv2.LINE_AA,
            )


def _side_wall(image: np.ndarray, camera: Camera, base: int, rng) -> None:
    """Paint a wall that runs along one side towards the vanishing point."""
    height, width = image.shape[:2]
    metre = _metre(camera, base, height)
    left = rng.random() < 0.5
    far_x = width * rng.uniform(0.03, 0.16)
    slant = (base - camera.horizon * height) / (width / 2 - far_x)
    near_base = camera.horizon * height + slant * width / 2
    tall = rng.uniform(4, 8)
    near_metre = metre * slant * width / 2 / (base - camera.horizon * height)
    pixels = 14
    span = int(rng.uniform(8, 12) * pixels)
    face = _facade(
        span, int(tall * pixels), pixels, camera.kind != 'street', rng
    )
    corner = np.float32([[0, 0], [span, 0], [span, len(face)], [0, len(face)]])
    quad = np.float32(
        [
            [0, near_base - tall * near_metre],
            [far_x, base - tall * metre],
            [far_x, base],
            [0, near_base],
        ]
    )
    if not left:
        quad[:, 0] = width - quad[:, 0]
    matrix = cv2.getPerspectiveTransform(corner, quad)
    warped = cv2.warpPerspective(face, matrix, (width, height))
    mask = cv2.warpPerspective(
        np.ones(face.shape[:2], np.float32), matrix, (width, height)
    )[..., None]
    dim = rng.uniform(0.7, 0.92)
    image[:] = image * (1 - mask) + warped * mask * dim

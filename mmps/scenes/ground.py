"""The ground in perspective: paving, asphalt, floors, lawn."""

import cv2
import numpy as np

from .cameras import Camera

__all__ = ['noise_texture', 'paint_ground']


def noise_texture(
    rng: np.random.Generator, size: int = 256, octaves: int = 5
) -> np.ndarray:
    """Return seamless cloudy noise (size, size) float32, deviation about 1."""
    total = np.zeros((size, size), np.float32)
    for octave in range(octaves):
        cells = 4 * 2**octave
        grid = rng.normal(0, 1, (cells, cells)).astype(np.float32)
        grid = np.pad(grid, 2, mode='wrap')
        step = size // cells
        big = cv2.resize(
            grid, None, fx=step, fy=step, interpolation=cv2.INTER_CUBIC
        )
        total += big[2 * step : -2 * step, 2 * step : -2 * step] / 1.5**octave
    return total / total.std()


class _Plane:
    """Ground coordinates in metres for every pixel below the horizon."""

    def __init__(self, camera: Camera, size: tuple[int, int]) -> None:
        width, height = size
        row = (np.arange(height, dtype=np.float32) + 0.5) / height
        below = np.maximum(row - camera.horizon, 0.012)
        metre = camera.slope * below / 1.7  # of the frame height
        x = (np.arange(width, dtype=np.float32) - width / 2) / height
        self.x = x[None, :] / metre[:, None]
        depth = 1.1 * (1.7 / camera.slope) / below
        self.z = np.broadcast_to(depth[:, None], self.x.shape)
        self.pixels = metre[:, None] * height  # per metre

    def noise(self, texture: np.ndarray, metres: float) -> np.ndarray:
        scale = texture.shape[0] / metres
        return cv2.remap(
            texture,
            np.mod(self.x * scale, texture.shape[0]).astype(np.float32),
            np.mod(self.z * scale, texture.shape[0]).astype(np.float32),
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_WRAP,
        )

    def seen(self, metres: float) -> np.ndarray:
        """Return 0..1: whether a detail of that size is still visible."""
        return np.clip((self.pixels * metres - 1.5) / 6, 0, 1)


def paint_ground(
    image: np.ndarray, camera: Camera, rng: np.random.Generator
) -> None:
    """Paint the whole frame with the camera's ground, in place.

    Args:
        image: (h, w, 3) float32, BGR 0..255.
        camera: Geometry and kind.
        rng: Source of colours and texture.
    """
    height, width = image.shape[:2]
    plane = _Plane(camera, (width, height))
    texture = noise_texture(rng)
    image[:] = _PAINT[camera.kind](plane, texture, rng)
    rough = plane.noise(texture, 5.0) * 0.6 + plane.noise(texture, 23.0) * 0.4
    image *= 1 + 0.05 * rough[..., None]


def _tiles(plane: _Plane, rng, colour, size, vary=0.07, joint=0.72):
    """Return square tiles of ``size`` metres with joints."""
    width, depth = size
    column = np.floor(plane.x / width)
    row = np.floor(plane.z / depth)
    # A hash: tiles of one row and column are alike in every pixel.
    value = np.modf(np.sin(column * 12.9898 + row * 78.233) * 43758.5453)[0]
    tone = 1 + vary * value * plane.seen(min(size))
    gap = 0.06 * min(size)
    line = (np.mod(plane.x, width) < gap) | (np.mod(plane.z, depth) < gap)
    fade = plane.seen(min(size) * 0.35)
    tone = tone * (1 - (1 - joint) * line * fade)
    return tone[..., None] * np.array(colour, np.float32)


def _street(plane, texture, rng):
    road = np.array(rng.uniform(102, 126) * np.array([1.03, 1.0, 0.98]))
    ground = (
        np.broadcast_to(road, (*plane.x.shape, 3)).astype(np.float32).copy()
    )
    grain = plane.noise(texture, 0.9)[..., None]
    ground *= 1 + 0.04 * grain * plane.seen(0.2)[..., None]
    edge = rng.uniform(0.2, 1.8) * rng.choice((-1, 1))
    walk = plane.x * np.sign(edge) > abs(edge)
    pave = _tiles(
        plane,
        rng,
        rng.uniform(138, 160) * np.array([0.97, 1, 1.02]),
        (0.6, 0.6),
    )
    ground[walk] = pave[walk]
    kerb = np.abs(plane.x - edge) < 0.12
    ground[kerb] = (188, 190, 192)
    dash = (np.abs(plane.x - edge + np.sign(edge) * 3.2) < 0.09) & (
        np.mod(plane.z, 4) < 2.2
    )
    ground[dash] = (206, 208, 208)
    if rng.random() < 0.6:  # zebra crossing
        near = rng.uniform(6, 11)
        cross = (np.abs(plane.z - near) < 1.6) & (np.mod(plane.x, 1) < 0.5)
        ground[cross & ~walk] = (204, 206, 206)
    return ground


def _hall(plane, texture, rng):
    colour = rng.uniform(132, 158) * np.array([0.95, 0.99, 1.03])
    floor = _tiles(plane, rng, colour, (1.2, 1.2), 0.05, 0.85)
    gloss = 0.1 * plane.noise(texture, 60.0)
    inlay = np.abs(plane.x - rng.uniform(-2, 2)) < 0.4
    floor[inlay] *= (0.66, 0.6, 0.58)
    return floor * (1 + gloss[..., None])


def _plaza(plane, texture, rng):
    warm = rng.uniform(0.9, 1.05)
    colour = rng.uniform(126, 152) * np.array([1.95 - warm, 1, warm])
    ground = _tiles(plane, rng, colour, (0.9, 0.45), 0.1)
    around = np.hypot(
        plane.x - rng.uniform(-4, 4), plane.z - rng.uniform(7, 13)
    )
    ring = (np.mod(around, 3.0) < 0.45) & (around < 7)
    ground[ring] *= (0.72, 0.7, 0.76)
    return ground


def _park(plane, texture, rng):
    blade = plane.noise(texture, 1.3)
    patch = plane.noise(texture, 9.0)
    lawn = np.array([72, 126, 106]) * rng.uniform(0.9, 1.1)
    ground = (
        lawn * (1 + 0.13 * blade * plane.seen(0.15) + 0.08 * patch)[..., None]
    )
    bend = rng.uniform(-0.25, 0.25)
    middle = rng.uniform(-1.5, 1.5) + 3 * np.sin(
        plane.z * 0.13 + rng.uniform(0, 6)
    )
    path = np.abs(plane.x - middle - bend * plane.z) + 0.12 * patch < 2.3
    gravel = np.array([138, 164, 182]) * (1 + 0.05 * blade)[..., None]
    ground[path] = gravel[path]
    return ground.astype(np.float32)


def _arcade(plane, texture, rng):
    a = rng.uniform(132, 152) * np.array([0.88, 0.97, 1.06])
    floor = _tiles(plane, rng, a, (0.8, 0.8), 0.03, 0.8)
    dark = (np.floor(plane.x / 0.8) + np.floor(plane.z / 0.8)) % 2 > 0
    fade = 1 - 0.2 * dark * plane.seen(0.5)
    return floor * fade[..., None]


def _station(plane, texture, rng):
    platform = _tiles(
        plane, rng, rng.uniform(120, 145) * np.ones(3), (0.5, 0.5), 0.05
    )
    side = rng.choice((-1, 1))
    edge = rng.uniform(2.0, 3.2)
    across = plane.x * side - edge
    platform[(across > -0.75) & (across < -0.35)] = (64, 190, 222)
    platform[(across > -0.1) & (across < 0.1)] = (214, 216, 216)
    bed = across > 0.1
    tracks = 84 + 10 * plane.noise(texture, 0.7)
    platform[bed] = (tracks[..., None] * np.array([0.95, 1, 1.08]))[bed]
    for rail in (0.8, 2.2):
        platform[np.abs(across - rail) < 0.06] = (150, 156, 160)
    return platform


_PAINT = {
    'street': _street,
    'hall': _hall,
    'plaza': _plaza,
    'park': _park,
    'arcade': _arcade,
    'station': _station,
}

"""Cameras: geometry, light and colour, one fixed set per number."""

from dataclasses import dataclass

import numpy as np

from .scenes_config import ScenesConfig

__all__ = [
    'BODY_HEIGHTS',
    'Camera',
    'body_height',
    'body_quantile',
    'make_camera',
]

# Quantiles of PRW's box heights over its frame height (1080 px); 5, 50 and
# 95 % are PRW's, the ends are ours.
BODY_HEIGHTS = (
    (0.0, 0.05, 0.5, 0.95, 1.0),
    (68 / 1080, 93 / 1080, 257 / 1080, 490 / 1080, 640 / 1080),
)
_KINDS = ('street', 'hall', 'plaza', 'park', 'arcade', 'station')
_PERSON_METRES = 1.7
# Of zero sum, so that all cameras together keep to BODY_HEIGHTS.
_LOG_SCALES = (-0.05, 0.12, -0.14, 0.02, 0.16, -0.11)


@dataclass(frozen=True)
class Camera:
    """One camera; lengths are fractions of the frame height.

    Attributes:
        number: 1 is the first.
        kind: Place it looks at.
        horizon: Row of the horizon from the top; may be negative.
        slope: Body height gained per row below the horizon.
        scale: Factor on PRW's body heights.
        pitch: How far it looks down, radians.
        light: (x, y) of a shadow per body height.
        sun: Strength of the shadows, 0..1.
        gains: (3,) BGR factors.
        gamma: Exponent on brightness.
        saturation: Factor on the distance from grey.
        blur: Standard deviation in pixels of a frame 1080 high.
        noise: Standard deviation in grey levels.
    """

    number: int
    kind: str
    horizon: float
    slope: float
    scale: float
    pitch: float
    light: tuple[float, float]
    sun: float
    gains: tuple[float, float, float]
    gamma: float
    saturation: float
    blur: float
    noise: float

    def foot(self, height: float) -> float:
        """Return the row at which a body of ``height`` stands."""
        return self.horizon + height / self.slope

    def metre(self, row: float) -> float:
        """Return the length of a metre standing at ``row``."""
        return self.slope * (row - self.horizon) / _PERSON_METRES


def body_height(quantile: float) -> float:
    """Return the body height at a quantile, as a share of the frame's."""
    points, heights = BODY_HEIGHTS
    return float(np.exp(np.interp(quantile, points, np.log(heights))))


def body_quantile(height: float) -> float:
    """Return the quantile at which :func:`body_height` is ``height``."""
    points, heights = BODY_HEIGHTS
    height = np.clip(height, heights[0], heights[-1])
    return float(np.interp(np.log(height), np.log(heights), points))


def make_camera(config: ScenesConfig, number: int) -> Camera:
    """Return camera ``number``, the same whatever the other cameras are.

    Args:
        config: Of which ``seed`` and ``colour_shift`` count.
        number: From 1.

    Returns:
        Camera: Its settings.
    """
    rng = np.random.default_rng((config.seed, 21, number))
    shift = config.colour_shift
    horizon = rng.uniform(0.02, 0.26)
    middle = rng.uniform(0.56, 0.68)
    log_scale = _LOG_SCALES[(number - 1) % len(_LOG_SCALES)]
    scale = float(np.exp(log_scale + rng.uniform(-0.03, 0.03)))
    slope = scale * body_height(0.5) / (middle - horizon)
    side = rng.choice((-1, 1))
    kind = _KINDS[(number - 1) % len(_KINDS)]
    outside = kind not in ('hall', 'station', 'arcade')
    cast = rng.normal(0, 1, 3)
    cast -= cast.mean()
    gains = np.exp(shift * (0.047 * cast + 0.04 * rng.normal()))
    return Camera(
        number=number,
        kind=kind,
        horizon=float(horizon),
        slope=float(slope),
        scale=scale,
        pitch=float(0.42 - 1.2 * horizon + rng.uniform(-0.03, 0.05)),
        light=(
            float(side * rng.uniform(0.25, 0.8)),
            float(rng.uniform(-0.28, -0.05)),
        ),
        sun=float(rng.uniform(0.3, 0.5) if outside else 0.0),
        gains=tuple(float(g) for g in np.clip(gains, 0.55, 1.5)),
        gamma=float(np.exp(shift * rng.normal(0, 0.07))),
        saturation=float(
            np.clip(1 + shift * rng.uniform(-0.3, 0.15), 0.2, 1.6)
        ),
        blur=float(rng.uniform(0.0, 1.6)),
        noise=float(rng.uniform(1.0, 3.5)),
    )

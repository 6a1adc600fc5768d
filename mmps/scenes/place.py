"""Places: what a camera sees when nobody is there, and how it records."""

from dataclasses import dataclass

import cv2
import numpy as np

from .backdrop import paint_background
from .cameras import Camera, make_camera
from .furniture import Furniture, make_furniture
from .scenes_config import ScenesConfig

__all__ = ['GRAIN_MARGIN', 'Place', 'make_place']

GRAIN_MARGIN = 61  # room to shift the noise from frame to frame


@dataclass(frozen=True)
class Place:
    """What a camera sees when nobody is there.

    Attributes:
        camera: The camera.
        background: (h, w, 3) uint8 BGR, as the camera records it.
        furniture: From far to near, likewise.
        curve: (256, 1, 3) uint8, recorded level of each channel.
        mix: (3, 3) saturation.
        grain: (h + GRAIN_MARGIN, w + GRAIN_MARGIN, 3) uint8 noise around 128.
    """

    camera: Camera
    background: np.ndarray
    furniture: list[Furniture]
    curve: np.ndarray
    mix: np.ndarray
    grain: np.ndarray

    def record(self, image: np.ndarray, tone: float = 1.0) -> None:
        """Give an image the camera's colours, in place.

        Args:
            image: (h, w, 3) uint8, or (h, w, 4) with colours multiplied by
                the alpha, which they then stay below.
            tone: Factor on the light. Defaults to 1.0.
        """
        channels = image.shape[2]
        matrix = np.zeros((3, channels))
        matrix[:, :3] = tone * self.mix
        colours = cv2.LUT(cv2.transform(image, matrix), self.curve)
        if channels == 4:
            colours = np.minimum(colours, image[..., 3:])
        image[..., :3] = colours


def make_place(config: ScenesConfig, number: int) -> Place:
    """Return the place before a camera.

    Args:
        config: Of which ``seed``, ``size`` and ``colour_shift`` count.
        number: The camera's number, from 1.

    Returns:
        Place: Painted and furnished.
    """
    camera = make_camera(config, number)
    rng = np.random.default_rng((config.seed, 22, number))
    width, height = config.size
    shape = (height + GRAIN_MARGIN, width + GRAIN_MARGIN, 3)
    place = Place(
        camera,
        paint_background(camera, config.size, rng),
        make_furniture(camera, config.size, rng),
        _curve(camera),
        _mix(camera),
        np.clip(np.round(rng.normal(128, camera.noise, shape)), 0, 255).astype(
            np.uint8
        ),
    )
    # Once here, not in every frame: it is pointwise.
    place.record(place.background)
    for thing in place.furniture:
        place.record(thing.image)
    return place


def _curve(camera: Camera) -> np.ndarray:
    level = np.linspace(0, 1, 256)[:, None] ** camera.gamma
    values = 255 * level * np.array(camera.gains)
    return np.clip(np.round(values), 0, 255).astype(np.uint8)[:, None]


def _mix(camera: Camera) -> np.ndarray:
    grey = np.array([0.114, 0.587, 0.299])
    return camera.saturation * np.eye(3) + (1 - camera.saturation) * grey

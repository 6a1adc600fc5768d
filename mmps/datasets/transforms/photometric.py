"""Photometric changes that mmdet has no transform for."""

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform

from mmps.registry import TRANSFORMS


@TRANSFORMS.register_module()
class ChannelGain(BaseTransform):
    """Multiply each colour channel by its own random gain.

    Cameras differ in white balance and exposure; so do the copies of one
    person this makes. Boxes and ids are not touched.

    Args:
        low: Smallest gain of a channel. Defaults to 0.8.
        high: Largest gain of a channel. Defaults to 1.2.
        brightness: A common offset is drawn from plus or minus this many
            grey levels. Defaults to 10.
        prob: Probability of a change. Defaults to 1.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        low: float = 0.8,
        high: float = 1.2,
        brightness: float = 10.0,
        prob: float = 1.0,
    ) -> None:
        if not 0 < low <= high:
            raise ValueError(
                f'ChannelGain: low is {low} and high {high}, expected '
                '0 < low <= high'
            )
        if brightness < 0 or not 0 <= prob <= 1:
            raise ValueError(
                f'ChannelGain: brightness is {brightness} and prob {prob}, '
                'expected brightness >= 0 and prob in [0, 1]'
            )
        self.low = low
        self.high = high
        self.brightness = brightness
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Change the image, by numpy's global random numbers.

        Args:
            results: A frame with its image (H, W, 3), uint8 or float.

        Returns:
            The same dict; the image keeps its dtype.
        """
        if np.random.random() >= self.prob:
            return results
        gain = np.random.uniform(self.low, self.high, 3)
        shift = np.random.uniform(-self.brightness, self.brightness)
        image = results['img']
        if image.dtype == np.uint8:
            levels = np.arange(256)[:, None] * gain + shift
            table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
            channels = [table[image[..., c], c] for c in range(3)]
            results['img'] = np.stack(channels, axis=-1)
        else:
            changed = np.clip(image * gain + shift, 0, 255)
            results['img'] = changed.astype(image.dtype)
        return results


@TRANSFORMS.register_module()
class Downscale(BaseTransform):
    """Lower the resolution of a frame and bring it back to its size.

    Detail is lost, boxes stay where they are: a low-resolution protocol for
    any data set (UGAS's PRW-L, factor 3).

    Args:
        factor: Of both sides, above 1 (averages over pixels on the way down,
            bilinear on the way up). Defaults to 3.

    Raises:
        ValueError: ``factor`` is not above 1.
    """

    def __init__(self, factor: float = 3.0) -> None:
        if not factor > 1:
            raise ValueError(
                f'Downscale: factor is {factor}, expected more than 1'
            )
        self.factor = factor

    def transform(self, results: dict) -> dict:
        """Change the image.

        Args:
            results: A frame with its image (H, W, 3).

        Returns:
            The same dict; the image keeps its size and dtype.
        """
        image = results['img']
        height, width = image.shape[:2]
        small = (
            max(round(width / self.factor), 1),
            max(round(height / self.factor), 1),
        )
        image = mmcv.imresize(image, small, interpolation='area')
        results['img'] = mmcv.imresize(image, (width, height))
        return results

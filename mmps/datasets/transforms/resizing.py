"""Resizing as other frameworks do it."""

import torch
import torch.nn.functional as F
from mmdet.datasets.transforms import Resize

from mmps.registry import TRANSFORMS


@TRANSFORMS.register_module()
class TorchvisionResize(Resize):
    """Resize a frame as torchvision's detectors do, keeping its proportions.

    The size is rounded down (mmdet's to the nearest: 844 rows where this
    gives 843), and pixels stay floating-point numbers, which are not rounded
    to 8 bits. They are torch's: OpenCV's differ by up to .01 of 255, as torch
    has the places of source pixels in single precision. All is in torch's
    default precision.

    Args:
        scale (tuple[int, int]): The longer side is at most the greater
            number, the shorter at most the smaller one.
        clip_object_border (bool): Clip boxes to the frame. Defaults to True.
    """

    def __init__(
        self, scale: tuple[int, int], clip_object_border: bool = True
    ) -> None:
        super().__init__(
            scale=scale,
            keep_ratio=True,
            clip_object_border=clip_object_border,
        )

    def _resize_img(self, results: dict) -> None:
        """Replace ``img`` by floating-point pixels of the new size."""
        height, width = results['img'].shape[:2]
        # As torchvision has it: other orders of operations round otherwise.
        factor = min(self.scale) / min(height, width)
        if max(height, width) * factor > max(self.scale):
            factor = max(self.scale) / max(height, width)
        new_height, new_width = int(height * factor), int(width * factor)
        pixels = torch.from_numpy(results['img'])
        pixels = F.interpolate(
            pixels.to(torch.get_default_dtype()).permute(2, 0, 1)[None],
            size=(new_height, new_width),
            mode='bilinear',
            align_corners=False,
        )
        results['img'] = pixels[0].permute(1, 2, 0).numpy()
        results['img_shape'] = new_height, new_width
        results['scale_factor'] = new_width / width, new_height / height
        results['keep_ratio'] = True


@TRANSFORMS.register_module()
class ShortEdgeResize(Resize):
    """Resize as maskrcnn-benchmark does.

    The short edge becomes the shorter side of ``scale``, or, where the long
    edge would exceed the longer one, what is left of it, rounded. The long
    edge follows in proportion, rounded down, where mmdet's Resize with
    ``keep_ratio`` rounds both. Pixels are averaged over the area that they
    come from (pillow's bilinear filter), where OpenCV samples four of them.

    Args:
        scale: Longest and shortest allowed edge, in any order.
        backend: 'pillow' or 'cv2'. Defaults to 'pillow'.
        **kwargs: See mmdet's Resize; ``keep_ratio`` is always meant.
    """

    def __init__(
        self, scale: tuple[int, int], backend: str = 'pillow', **kwargs
    ) -> None:
        super().__init__(scale=scale, backend=backend, **kwargs)

    def _resize_img(self, results: dict) -> None:
        """Resize the image, and leave its size in ``results['scale']``."""
        height, width = results['img'].shape[:2]
        results['scale'] = self._size(width, height)
        super()._resize_img(results)

    def _size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height of the resized image."""
        short, long = sorted((width, height))
        target, limit = sorted(self.scale)
        if long / short * target > limit:
            target = round(limit * short / long)
        edges = (target, target * long // short)
        return edges if width < height else edges[::-1]

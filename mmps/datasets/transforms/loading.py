"""Loading one frame's image, and what to do if it is bad."""

import io
import logging

import mmcv
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.fileio import get
from mmengine.logging import print_log
from PIL import Image

from mmps.datasets.errors import BadImageError
from mmps.registry import TRANSFORMS

_POLICIES = ('error', 'skip')
_MAX_WARNINGS = 20
# Formats whose last bytes show that the file is whole.
_ENDS = {b'\xff\xd8': b'\xff\xd9', b'\x89P': b'IEND\xaeB`\x82'}


@TRANSFORMS.register_module()
class LoadFrame(BaseTransform):
    """Load an image and refuse truncated, empty, junk and huge files.

    A decoder may return a truncated JPEG with its lower part grey; such a
    file is a bad image here. Boxes refer to the pixels as stored: the EXIF
    orientation is ignored unless ``exif_orientation`` says otherwise.

    Required key: img_path. Added keys: img (H, W, 3) uint8 BGR, img_shape,
    ori_shape, and bad_image (True) on a frame that was replaced.

    Args:
        on_bad_image: 'error' raises. 'skip' warns and counts; a training
            frame is left out (the data set takes a random other one), and
            a test frame, of which exactly one result must come out, is
            replaced by a black image. Defaults to 'error'.
        max_pixels: Refuse larger images before decoding them; None for no
            limit. Defaults to 100,000,000.
        exif_orientation: Turn the image as its EXIF entry says. Only for
            annotations made on turned images. Defaults to False.
        to_float32: Convert the image to float32. Defaults to False.
        backend_args: Arguments of mmengine's file backend. Defaults to
            None, the local disk.

    Raises:
        BadImageError: The image cannot be used; names the file.
    """

    def __init__(
        self,
        on_bad_image: str = 'error',
        max_pixels: int | None = 100_000_000,
        exif_orientation: bool = False,
        to_float32: bool = False,
        backend_args: dict | None = None,
    ) -> None:
        if on_bad_image not in _POLICIES:
            raise ValueError(
                f'LoadFrame: on_bad_image is {on_bad_image!r}, expected one '
                f'of {_POLICIES}'
            )
        self.on_bad_image = on_bad_image
        self.max_pixels = max_pixels
        self.exif_orientation = exif_orientation
        self.to_float32 = to_float32
        self.backend_args = backend_args
        # Shared memory: worker processes count, the main process reads.
        self._num_bad = torch.zeros((), dtype=torch.int64).share_memory_()
        self._num_warnings = 0

    @property
    def num_bad_images(self) -> int:
        """Bad images met so far by all loading processes."""
        return int(self._num_bad)

    def transform(self, results: dict) -> dict | None:
        """Load the image of ``results['img_path']``.

        Args:
            results: A frame's information.

        Returns:
            The same dict with the image, or None for a skipped one.
        """
        try:
            image = self._load(results['img_path'])
        except BadImageError as error:
            if self.on_bad_image == 'error':
                raise
            self._count(error)
            # Only the test split's frames carry this key.
            if 'query_bboxes' not in results:
                return None
            image = np.zeros((*_blank_size(results), 3), np.uint8)
            results['bad_image'] = True
        if self.to_float32:
            image = image.astype(np.float32)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _load(self, path: str) -> np.ndarray:
        try:
            data = get(path, backend_args=self.backend_args)
        except OSError as error:
            raise BadImageError(
                f'{path}: cannot be read ({error.strerror or error}); '
                'expected an image file'
            ) from None
        try:
            with Image.open(io.BytesIO(data)) as header:
                width, height = header.size
                if self.max_pixels and width * height > self.max_pixels:
                    raise BadImageError(
                        f'{path}: {width} x {height} pixels; expected at '
                        f'most max_pixels={self.max_pixels}'
                    )
                if not data.endswith(_ENDS.get(bytes(data[:2]), b'\0\0')):
                    # Trailing bytes or another format: only a full
                    # decoding with pillow notices a missing end.
                    header.load()
            flag = (
                'color'
                if self.exif_orientation
                else ('color_ignore_orientation')
            )
            image = mmcv.imfrombytes(data, flag=flag, backend='cv2')
        except BadImageError:
            raise
        except Image.DecompressionBombError as error:
            raise BadImageError(
                f'{path}: {error}; expected at most '
                f'max_pixels={self.max_pixels}'
            ) from None
        # Damaged files make pillow raise nearly anything.
        except Exception as error:
            raise BadImageError(
                f'{path}: not a whole image ({_first_line(error, data)}); '
                'expected a readable image file'
            ) from None
        if image is None:
            raise BadImageError(
                f'{path}: not a whole image; expected a readable image file'
            )
        return image

    def _count(self, error: BadImageError) -> None:
        self._num_bad += 1
        self._num_warnings += 1
        if self._num_warnings <= _MAX_WARNINGS:
            last = self._num_warnings == _MAX_WARNINGS
            print_log(
                f'bad image number {self.num_bad_images} skipped: {error}'
                + (' (further ones are only counted)' if last else ''),
                logger='current',
                level=logging.WARNING,
            )


def _first_line(error: Exception, data: bytes) -> str:
    if not data:
        return 'the file is empty'
    # pillow's own text names a buffer in memory.
    text = str(error).partition('<')[0].strip()
    return text.splitlines()[0] if text else type(error).__name__


def _blank_size(results: dict) -> tuple[int, int]:
    """(height, width) as annotated, or what holds the frame's boxes."""
    if results.get('height') and results.get('width'):
        return results['height'], results['width']
    boxes = [results['query_bboxes'].reshape(-1, 4)]
    if 'person_annotations' in results:
        boxes.append(results['person_annotations']['gt_bboxes'])
    corners = np.vstack([[[0, 0, 32, 32]], *boxes])[:, 2:].max(0)
    width, height = np.ceil(corners).astype(int)
    return int(height), int(width)

"""Pictures in and out: decoding with limits, JPEG, crops of people."""

import contextlib
import io
import struct

import cv2
import numpy as np
from PIL import Image, ImageOps

from mmps.visualization.answers import crop_person

from .errors import ApiError

# Models scale pictures; a side of one pixel would become zero.
MIN_SIDE = 16
MAX_RATIO = 100
_CROP_HEIGHT = 352
_QUALITY = 88


def sniff(data: bytes) -> str | None:
    """Format of a picture from its first bytes: JPEG, PNG, WEBP or None."""
    if data.startswith(b'\xff\xd8\xff'):
        return 'JPEG'
    if data.startswith(b'\x89PNG\r\n\x1a\n'):
        return 'PNG'
    if data[:4] == b'RIFF' and data[8:12] == b'WEBP':
        return 'WEBP'
    return None


def decode(data: bytes, max_pixels: int) -> np.ndarray:
    """Decode a picture that somebody sent.

    The size is read from the header before anything is decoded. EXIF
    orientation is applied. Of an animation it is the first frame.

    Args:
        data: JPEG, PNG or WebP.
        max_pixels: Largest size.

    Returns:
        (h, w, 3) uint8 BGR.

    Raises:
        ApiError: It is something else, too large, too thin, or broken.
    """
    kind = sniff(data)
    if kind is None:
        raise ApiError(415, 'expected a JPEG, PNG or WebP picture')
    too_large = ApiError(413, f'the picture has more than {max_pixels} pixels')
    try:
        with Image.open(io.BytesIO(data), formats=(kind,)) as image:
            if image.width * image.height > max_pixels:
                raise too_large
            _check_shape(*image.size)
            image.load()
            return _to_bgr(image)
    except ApiError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise too_large from None
    except Exception as err:  # decoders raise nearly anything on bad bytes
        raise ApiError(422, f'the {kind} picture is broken') from err


def to_jpeg(image: np.ndarray, max_side: int | None = None) -> bytes:
    """Encode (h, w, 3) BGR, made smaller where a side is too long."""
    scale = (max_side or np.inf) / max(image.shape[:2])
    if scale < 1:
        image = _resize(image, scale)
    done, data = cv2.imencode(
        '.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    )
    if not done:
        raise ValueError(f'no JPEG of shape {image.shape}')
    return data.tobytes()


def small_crop(image: np.ndarray, box: np.ndarray) -> np.ndarray:
    """:func:`crop_person`, made smaller before it is cut.

    A box as wide as the picture needs a crop many times its size.

    Args:
        image: (h, w, 3) uint8.
        box: (4,) xyxy, may leave the image.
    """
    height, width = image.shape[:2]
    bounds = np.array([width, height, width, height])
    box = np.clip(np.asarray(box, np.float64), 0, bounds)
    wide, high = box[2:] - box[:2]
    window = 1.2 * max(high, 2.2 * wide, 1.0)
    scale = _CROP_HEIGHT / window
    if scale < 1:
        margin = window / 2
        x1, y1 = np.maximum(box[:2] - margin, 0).astype(int)
        x2, y2 = np.ceil(box[2:] + margin).astype(int)
        part = image[y1:y2, x1:x2]
        image = _resize(part, scale)
        # Sides are rounded, so that the scales differ a little.
        scales = np.divide(image.shape[1::-1], part.shape[1::-1])
        box = (box - [x1, y1, x1, y1]) * np.tile(scales, 2)
    return crop_person(image, box)


def _check_shape(width: int, height: int) -> None:
    short, long = sorted((width, height))
    if short < MIN_SIDE or long > MAX_RATIO * short:
        raise ApiError(
            422,
            f'expected a picture of at least {MIN_SIDE} pixels a side, and '
            f'at most {MAX_RATIO} times as long as wide',
        )


def _to_bgr(image: Image.Image) -> np.ndarray:
    # A picture with broken EXIF data is shown as it is stored.
    with contextlib.suppress(
        ValueError, TypeError, KeyError, SyntaxError, struct.error
    ):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith('I'):
        # 16 bits of grey; convert() would clip them.
        grey = np.clip(np.asarray(image).astype(np.int64) >> 8, 0, 255)
        return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    rgb = np.asarray(image.convert('RGB'))
    return np.ascontiguousarray(rgb[..., ::-1])


def _resize(image: np.ndarray, scale: float) -> np.ndarray:
    height, width = image.shape[:2]
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)

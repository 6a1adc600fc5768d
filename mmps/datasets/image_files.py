"""Looking at a data set's image files without decoding them."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

from .errors import FaultList
from .paths import list_files


def find_missing_images(folder: str, names: Sequence[str]) -> list[str]:
    """Names without a file in the folder, in their order.

    Args:
        folder: The image folder; a missing one holds nothing.
        names: Image names relative to it.
    """
    present = list_files(folder)
    # The second look is for names such as './a.jpg' and absolute ones.
    return [
        name
        for name in names
        if name not in present
        and not os.path.isfile(os.path.join(folder, name))
    ]


def read_image_sizes(
    folder: str, names: Sequence[str], faults: FaultList | None
) -> np.ndarray:
    """Read height and width from the images' headers.

    EXIF orientation is not applied: boxes refer to the stored pixels.

    Args:
        folder: The image folder.
        names: F image names relative to it.
        faults: Receives unreadable images; None lets them pass as 0 x 0.

    Returns:
        (F, 2) int64 height and width.
    """

    def size(name: str) -> tuple[int, int] | Exception:
        try:
            with Image.open(os.path.join(folder, name)) as image:
                return image.height, image.width
        except Exception as error:  # damaged ones make pillow raise anything
            return error

    with ThreadPoolExecutor(8) as pool:
        sizes = list(pool.map(size, names))
    for name, found in zip(names, sizes, strict=True):
        if isinstance(found, Exception) and faults is not None:
            faults.add(
                f'{folder}/{name}', f'cannot be read ({found})', 'an image'
            )
    return np.array(
        [(0, 0) if isinstance(s, Exception) else s for s in sizes],
        dtype=np.int64,
    ).reshape(-1, 2)

"""Reading ``.npz`` files that somebody else may have made or damaged."""

import math
import zipfile
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.lib import format as npy

from mmps.utils.files import most_bytes

_HEADERS = {
    (1, 0): npy.read_array_header_1_0,
    (2, 0): npy.read_array_header_2_0,
}


def read_npz(
    file: BinaryIO, keys: Sequence[str], optional: Sequence[str] = ()
) -> dict[str, np.ndarray]:
    """Read some arrays of an archive; others in it are ignored.

    numpy takes the size of an array from its header, and makes room for it
    before it looks whether so much is there. Here both have to agree.

    Args:
        file: The archive, open for reading.
        keys: Names of the arrays.
        optional: Names of arrays that it may lack. Defaults to none.

    Returns:
        The arrays by their names.

    Raises:
        ValueError: It is no archive, it is damaged, an array is missing, or
            an array is of Python objects; names the array.
    """
    try:
        archive = zipfile.ZipFile(file)
    except Exception as err:  # damage makes zipfile raise nearly anything
        raise ValueError('not an .npz file, or cut short') from err
    with archive:
        names = archive.namelist()
        if missing := [key for key in keys if f'{key}.npy' not in names]:
            raise ValueError(
                f'no key {", ".join(missing)}; needed are {", ".join(keys)}'
            )
        if len(set(names)) < len(names):
            raise ValueError('an array is in it twice')
        there = [key for key in optional if f'{key}.npy' in names]
        return {key: _read(archive, key) for key in [*keys, *there]}


def _read(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    info = archive.getinfo(f'{key}.npy')
    try:
        if info.file_size > most_bytes(info.compress_size):
            raise ValueError(f'unpacks to {info.file_size} bytes')
        with archive.open(info) as member:
            size = _stated_size(member)
        if size != info.file_size:
            raise ValueError(
                f'has {info.file_size} bytes, its header asks for {size}'
            )
        with archive.open(info) as member:
            # Read to its end, so that the checksum is compared as well.
            return npy.read_array(member, allow_pickle=False)
    except Exception as err:
        raise ValueError(f'{key}: {err or type(err).__name__}') from err


def _stated_size(member: BinaryIO) -> int:
    """Bytes that an array and its header say they take."""
    version = npy.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f'version {version} of the .npy format')
    shape, _, dtype = _HEADERS[version](member)
    if dtype.hasobject:
        raise ValueError('Object arrays cannot be read safely')
    if any(side < 0 for side in shape):
        raise ValueError(f'shape {shape}')
    return member.tell() + math.prod(shape) * dtype.itemsize

"""Reading what ``torch.save`` has written, from a closed list of types."""

import mmap
import os
import tarfile
import zipfile
from collections.abc import Callable
from typing import Any

import torch

from .closed_pickle import RefusedError, closed_pickle


def load_plain(path: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read tensors, arrays and plain values; run nothing else.

    The list is that of :mod:`~mmps.checkpoints.closed_pickle`: dense tensors,
    numpy's numbers and arrays of them, what Python has for plain values, and
    mmengine's log of a training. What is on torch's own list in this process
    does not count, and nothing in the process changes while a file is read.

    Args:
        path: The file.
        map_location: As for ``torch.load``. Defaults to the CPU.

    Raises:
        RefusedError: It holds more than that.
        Exception: Nearly any, if it is no such file or a broken one.
    """
    limit = _storage_limit(path)
    _refuse_other_archives(path)
    try:
        return torch.load(
            path,
            map_location=map_location,
            pickle_module=closed_pickle(limit),
            weights_only=False,
            mmap=False,
        )
    except RefusedError as err:
        if not _is_saved(path):
            raise ValueError(f'no file of torch: {err}') from None
        raise


def _storage_limit(path: str | os.PathLike) -> Callable[[Any], int]:
    """Largest size of each storage; damaged records raise ValueError.

    torch does not compare checksums: a flipped bit would be another weight.
    """
    if not zipfile.is_zipfile(path):
        size = os.path.getsize(path)
        return lambda key: size
    with zipfile.ZipFile(path) as archive:
        # torch packs nothing; what is packed it will refuse by itself.
        packed = any(i.compress_type for i in archive.infolist())
        damaged = None if packed else archive.testzip()
        sizes = {
            i.filename.partition('/')[2]: i.file_size
            for i in archive.infolist()
        }
    if damaged is not None:
        raise ValueError(f'damaged: {damaged} does not have its checksum')
    return lambda key: sizes.get(f'data/{key}', 0)


def _refuse_other_archives(path: str | os.PathLike) -> None:
    """Refuse archives that torch.load reads without the pickle module."""
    if os.path.getsize(path) == 0:
        raise ValueError('empty file')
    if tarfile.is_tarfile(path):
        raise RefusedError('legacy .tar archive')
    with (
        open(path, 'rb') as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        # By its name wherever it stands: zipfile and torch may see different
        # files in one archive.
        if content.find(b'constants.pkl') >= 0:
            raise RefusedError('TorchScript archive')


def _is_saved(path: str | os.PathLike) -> bool:
    """Whether it starts like a file of torch; junk does not."""
    with open(path, 'rb') as file:
        return file.read(2).startswith((b'PK', b'\x80'))

"""Reading what ``torch.save`` has written, from a closed list of types."""

import contextlib
import os
import pickle
import re
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
)

_NUMBERS = (
    'bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64',
    'int64', 'float16', 'float32', 'float64',
)  # fmt: skip


class RefusedError(Exception):
    """A file holds something that is not on the list; the message: what."""


def load_plain(path: str | os.PathLike, map_location: Any = 'cpu') -> Any:
    """Read tensors, arrays and plain values; run nothing else.

    The list is torch's own, numpy's numbers and arrays, and mmengine's log
    of a training. What other packages have added to torch's list in this
    process does not count.

    Args:
        path: The file.
        map_location: As for ``torch.load``. Defaults to the CPU.

    Raises:
        RefusedError: It holds more than that.
        Exception: Nearly any, if it is no such file or a broken one.
    """
    _check_sums(path)
    with _only(_plain_types()), warnings.catch_warnings():
        # Of pickle protocols and archives that are about to be refused.
        warnings.simplefilter('ignore')
        try:
            return torch.load(
                path, map_location=map_location, weights_only=True
            )
        except pickle.UnpicklingError as err:
            kind = RefusedError if _is_saved(path) else ValueError
            raise kind(_reason(err)) from None
        except RuntimeError as err:
            # Archives that torch does not read with weights_only.
            found = re.search(r'(legacy \.tar|TorchScript)', str(err))
            if found is None:
                raise
            raise RefusedError(f'{found[1]} archive') from None


@contextlib.contextmanager
def _only(types: list[Any]) -> Iterator[None]:
    before = get_safe_globals()
    clear_safe_globals()
    add_safe_globals(types)
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(before)


def _check_sums(path: str | os.PathLike) -> None:
    """Find flipped bits, which torch reads as other weights."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        # torch packs nothing; what is packed it will refuse by itself.
        packed = any(i.compress_type for i in archive.infolist())
        damaged = None if packed else archive.testzip()
    if damaged is not None:
        raise ValueError(f'damaged: {damaged} does not have its checksum')


def _plain_types() -> list[Any]:
    core = getattr(np, '_core', None) or np.core
    kinds = [type(np.dtype(name)) for name in _NUMBERS]
    functions = [
        (getattr(core.multiarray, name), f'numpy.{module}.multiarray.{name}')
        for name in ('_reconstruct', 'scalar')
        # Of numpy 1 and 2.
        for module in ('core', '_core')
    ]
    return [
        np.ndarray,
        np.dtype,
        *kinds,
        *functions,
        bytes,  # how no bytes are stored, those of an empty array
        HistoryBuffer,
        # How a HistoryBuffer's methods are stored.
        (_history_method, 'builtins.getattr'),
    ]


def _history_method(owner: Any, name: str) -> Any:
    """Stand in for ``getattr``, which would lead anywhere."""
    known = {'max', 'min', 'mean', 'current', 'statistics'}
    if owner is not HistoryBuffer or name not in known:
        raise pickle.UnpicklingError(f'getattr of {name!r}')
    return getattr(owner, name)


def _is_saved(path: str | os.PathLike) -> bool:
    """Whether it starts like a file of torch; junk does not."""
    with open(path, 'rb') as file:
        return file.read(2).startswith((b'PK', b'\x80'))


def _reason(err: Exception) -> str:
    """What was refused, from torch's long explanation."""
    if found := re.search(r'GLOBAL (\S+)', str(err)):
        return found[1]
    text = str(err).rpartition('WeightsUnpickler error: ')[2]
    return text.strip().splitlines()[0]

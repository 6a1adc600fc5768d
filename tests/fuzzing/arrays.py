"""Damage to .npy, .npz and .mat files that stay such files."""

import io
import random
import struct
import warnings
import zipfile
from typing import Any

import numpy as np
import scipy.sparse
from numpy.lib import format as npy
from scipy.io import loadmat, savemat

from .odd import NAMES, odd_array
from .raw import edit_bytes


def edit_npy(data: bytes, rng: random.Random) -> bytes:
    """Change the array, or what the header says of it.

    Args:
        data: A ``.npy`` file.
        rng: Chooses what is done.
    """
    try:
        array = npy.read_array(io.BytesIO(data), allow_pickle=False)
    except Exception:  # what an earlier edit left
        return edit_bytes(data, rng)
    if rng.random() < 0.6:
        return _npy(odd_array(rng, array))
    shape = rng.choice(
        ((), (0,), (-1,), (2**40,), (2**62, 4), (10**12, 10**12), (3, 4, 5),
         (len(array) + 1 if array.ndim else 1,), (1e3,), 'x')
    )  # fmt: skip
    descr = rng.choice((array.dtype.str, '|O', '<f4', '<i8', 'junk', '<U9'))
    head = repr({'descr': descr, 'fortran_order': False, 'shape': shape})
    if rng.random() < 0.1:
        head = rng.choice(('{', '(' * 500, '{}', head * 2, '\0'))
    head = head.ljust(117) + '\n'
    start = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(head))
    return start + head.encode() + array.tobytes()


def edit_npz(data: bytes, rng: random.Random) -> bytes:
    """Change an array, the set of arrays, or the archive around them.

    Args:
        data: A ``.npz`` file.
        rng: Chooses what is done.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            members = [(name, file.read(name)) for name in file.namelist()]
    except Exception:
        return edit_bytes(data, rng)
    if not members:
        return data
    i, j = rng.randrange(len(members)), rng.randrange(len(members))
    name, content = members[i]
    kind = rng.randrange(10)
    if kind < 6:
        members[i] = name, edit_npy(content, rng)
    elif kind == 6:
        del members[i]
    elif kind == 7:
        members[i], members[j] = (
            (name, members[j][1]),
            (members[j][0], content),
        )
    elif kind == 8:
        other = rng.choice(('../x.npy', 'x', name, f'{name}.npy', *NAMES))
        members.append((other, edit_bytes(content, rng)))
    method = zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED
    out = _zip(members, method)
    return _edit_directory(out, rng) if kind == 9 else out


def edit_mat(data: bytes, rng: random.Random) -> bytes:
    """Change a value in a MATLAB file and save it again.

    Args:
        data: A ``.mat`` file of version 5. Must be whole: scipy's reader can
            be made to crash.
        rng: Chooses what is done.
    """
    content = loadmat(io.BytesIO(data))
    content = {k: v for k, v in content.items() if not k.startswith('__')}
    name = rng.choice(sorted(content))
    kind = rng.randrange(8)
    if kind == 0:
        content[rng.choice(('x', name.upper(), 'pool'))] = content.pop(name)
    elif kind == 1:
        content['before'] = np.arange(3.0)
    else:
        content[name] = _other_leaf(content[name], rng, depth=0)
    out = io.BytesIO()
    version = '4' if rng.random() < 0.05 else '5'
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            savemat(
                out,
                dict(sorted(content.items())),
                format=version,
                do_compression=rng.random() < 0.3,
            )
    except Exception:  # not all of it can be stored
        return edit_bytes(data, rng)
    return out.getvalue()


def _other_leaf(value: Any, rng: random.Random, depth: int) -> Any:
    """Go down into cells and structs, and change what is there."""
    if not isinstance(value, np.ndarray) or depth > 8:
        return odd_mat_value(rng)
    fields = value.dtype.names
    if value.size and (fields or value.dtype == object):
        if rng.random() < 0.2:
            return rng.choice((value[:0], value.T, value[..., :1], value[0]))
        value = value.copy()
        place = rng.randrange(value.size)
        if not fields:
            value.flat[place] = _other_leaf(value.flat[place], rng, depth + 1)
        elif rng.random() < 0.1:
            return value[list(fields[::-1])]
        else:
            field = rng.choice(fields)
            column = value[field]
            column.flat[place] = _other_leaf(
                column.flat[place], rng, depth + 1
            )
        return value
    return odd_array(rng, value) if rng.random() < 0.7 else odd_mat_value(rng)


def odd_mat_value(rng: random.Random) -> Any:
    """Something a variable may hold in MATLAB."""
    cells = np.empty((1, 2), object)
    cells[0, 0], cells[0, 1] = 'a', np.eye(2)
    return rng.choice(
        (
            rng.choice(NAMES),
            np.array(['ab', 'c']),
            np.zeros((0, 0)),
            np.zeros((2, 2, 2)),
            np.array([[True]]),
            np.array([[np.nan, np.inf]]),
            np.array([[1e300, -1e300, 2**63, 1, 5.0]]),
            np.array([[2**64 - 1, 1, 2, 3, 4]], np.uint64),
            np.array([[1 + 2j]]),
            np.arange(5, dtype=np.int8)[None],
            scipy.sparse.csc_matrix(np.eye(3)),
            cells,
            {'name': 'a', 'value': np.eye(2)},
        )
    )


def _npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _zip(members: list[tuple[str, bytes]], method: int) -> bytes:
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(out, 'w', method) as file:
        warnings.simplefilter('ignore')  # of names that occur twice
        for name, content in members:
            safe = name.encode('utf-8', 'replace').decode()
            file.writestr(zipfile.ZipInfo(safe), content, method)
    return out.getvalue()


def _edit_directory(data: bytes, rng: random.Random) -> bytes:
    """Write into the archive's own records: flags, method, sizes."""
    out = bytearray(data)
    marks = (b'PK\x03\x04', b'PK\x01\x02', b'PK\x05\x06')
    starts = [i for i in range(len(out) - 3) if out[i : i + 4] in marks]
    if starts:
        place = rng.choice(starts) + rng.randrange(4, 30)
        if place < len(out):
            out[place] = rng.choice((0, 1, 8, 12, 14, 99, 128, 255))
    return bytes(out)

"""File formats as trees of lists, dicts and arrays."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.io import loadmat, savemat

from .odd import DEEP


def _load_text(data: bytes) -> list[list[str]]:
    """Lines, each of a separator and the words that it separates."""
    lines = data.decode('utf-8', 'surrogateescape').split('\n')
    signs = ['\t' if '\t' in line else ' ' for line in lines]
    return [[sign, *line.split(sign)] for sign, line in zip(signs, lines)]


def _dump_text(lines: Any, variant: int) -> bytes:
    rows = [map(str, line if type(line) is list else [line]) for line in lines]
    text = '\n'.join(next(row, '').join(row) for row in rows)
    return text.encode('utf-8', 'surrogatepass')


def _dump_json(content: Any, variant: int) -> bytes:
    text = json.dumps(content, ensure_ascii=variant % 3 > 0)
    text = text.replace(json.dumps(DEEP), '[' * 5000 + ']' * 5000)
    return text.encode('utf-8', 'surrogatepass')


def _load_npy(data: bytes) -> np.ndarray:
    return np.load(io.BytesIO(data), allow_pickle=False)


def _dump_npy(array: Any, variant: int) -> bytes:
    if isinstance(array, bytes):
        return array
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def _load_npz(data: bytes) -> dict[str, Any]:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        return {name: _load_npy(file.read(name)) for name in file.namelist()}


def _dump_npz(arrays: dict[str, Any], variant: int) -> bytes:
    out = io.BytesIO()
    method = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)[variant % 2]
    with zipfile.ZipFile(out, 'w') as file:
        for name, array in arrays.items():
            # Without the time, as below.
            info = zipfile.ZipInfo(name)
            file.writestr(info, _dump_npy(array, variant), method)
    return out.getvalue()


def _load_mat(data: bytes) -> dict[str, Any]:
    found = loadmat(io.BytesIO(data))
    return {k: v for k, v in found.items() if not k.startswith('__')}


def _dump_mat(values: dict[str, Any], variant: int) -> bytes:
    out = io.BytesIO()
    if variant == VARIANTS - 1:
        savemat(out, values, format='4')
        return out.getvalue()
    savemat(out, values, do_compression=variant % 3 == 1)
    # Without the time, so that a case is the same every time.
    return b'MATLAB 5.0 MAT-file'.ljust(116) + out.getvalue()[116:]


VARIANTS = 16
# By suffix: content to tree, and tree to content in one of the variants.
FORMATS: dict[str, tuple[Callable, Callable]] = {
    '.json': (json.loads, _dump_json),
    '.mat': (_load_mat, _dump_mat),
    '.npy': (_load_npy, _dump_npy),
    '.npz': (_load_npz, _dump_npz),
    '.txt': (_load_text, _dump_text),
}

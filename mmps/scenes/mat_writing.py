"""MATLAB files whose bytes depend on their content only."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import savemat

from mmps.utils.files import write_whole

__all__ = ['cells', 'save_mat', 'struct']

# scipy writes platform and time into these 116 bytes.
_HEADER = b'MATLAB 5.0 MAT-file, made by mmps'.ljust(116)


def save_mat(path: Path, values: dict[str, Any]) -> None:
    """Write variables to a .mat file, always the same bytes.

    Args:
        path: The file; its folder exists.
        values: Variable names to arrays.
    """
    buffer = io.BytesIO()
    savemat(buffer, values)
    write_whole(path, _HEADER + buffer.getvalue()[len(_HEADER) :])


def cells(values: Sequence[Any]) -> np.ndarray:
    """Return MATLAB's cell column (n, 1) of any values."""
    column = np.empty((len(values), 1), dtype=object)
    for i, value in enumerate(values):
        column[i, 0] = value
    return column


def struct(rows: Iterable[tuple], fields: Sequence[str]) -> np.ndarray:
    """Return MATLAB's struct row (1, n) with one record per row."""
    rows = list(rows)
    array = np.empty((1, len(rows)), dtype=[(f, object) for f in fields])
    for i, row in enumerate(rows):
        array[0, i] = row
    return array

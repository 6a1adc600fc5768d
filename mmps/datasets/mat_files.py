"""Reading MATLAB files with errors that name the file."""

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from .errors import FaultList
from .mat_check import is_version_7_3, whole_variable

# What unpacking the arrays of a file of another form raises.
OTHER_FORM = (AttributeError, IndexError, KeyError, TypeError, ValueError)


def read_mat(
    path: str | os.PathLike,
    keys: Sequence[str],
    faults: FaultList,
) -> np.ndarray | None:
    """Read the first of several variables that a ``.mat`` file holds.

    Args:
        path: The file.
        keys: Names of the variable, in order of preference.
        faults: Receives what is wrong with the file.

    Returns:
        The variable as scipy gives it, or None after recording a fault.
    """
    wanted = ' or '.join(keys)
    try:
        data = Path(path).read_bytes()
        if is_version_7_3(data):
            faults.add(
                path,
                'is in the HDF5 form of MATLAB 7.3',
                f'{wanted} in the older form (save with -v7)',
            )
            return None
        content = _load(data, keys)
    except FileNotFoundError:
        faults.add(path, 'no such file', f'a .mat file with {wanted}')
        return None
    # A damaged file can fail anywhere in scipy's reader.
    except Exception as error:
        faults.add(
            path,
            f'cannot be read ({type(error).__name__}: {error})',
            f'a .mat file with {wanted}',
        )
        return None
    for key in keys:
        if key in content:
            return content[key]
    faults.add(path, f'has no variable {wanted}', 'one of these')
    return None


def _load(data: bytes, keys: Sequence[str]) -> dict[str, np.ndarray]:
    whole = whole_variable(data, keys)
    return {} if whole is None else loadmat(io.BytesIO(whole))


def cell_strings(cells: np.ndarray) -> list[str]:
    """Strings of a MATLAB cell array of char rows.

    Args:
        cells: Object array as :func:`read_mat` returns it.

    Raises:
        ValueError: A cell does not hold exactly one string.
    """
    if cells.dtype.kind == 'U':  # char matrix: one padded row per string
        return [str(row).rstrip() for row in cells.ravel()]
    return [one_string(cell) for cell in cells.ravel()]


def one_string(value: np.ndarray | str) -> str:
    """Unwrap a string from the arrays scipy puts around it.

    Raises:
        ValueError: It is something else.
    """
    while isinstance(value, np.ndarray) and value.size == 1:
        value = value.ravel()[0]
    if not isinstance(value, str):
        raise ValueError(f'expected a string, got {type(value).__name__}')
    return str(value)


def one_box(cell: np.ndarray) -> np.ndarray:
    """(4,) float64 of a cell; 16-bit integers on disk would overflow.

    Raises:
        ValueError: It does not hold four real numbers.
    """
    if cell.dtype.kind not in 'fiu' or cell.size != 4:
        raise ValueError(
            f'expected four numbers, got {cell.size} {cell.dtype}'
        )
    return cell.astype(np.float64).reshape(4)

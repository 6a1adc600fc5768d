"""Reading MATLAB files with errors that name the file."""

import contextlib
import os
from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import FaultList
from .variables import Variables

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
    with record_damage(path, wanted, faults), open(path, 'rb') as file:
        variables = Variables(file)
        for key in keys:
            if key in variables:
                return variables.value(key)
        faults.add(path, f'has no variable {wanted}', 'one of these')
    return None


@contextlib.contextmanager
def record_damage(
    path: str | os.PathLike, wanted: str, faults: FaultList
) -> Iterator[None]:
    """Record it where a ``.mat`` file cannot be read.

    Args:
        path: The file.
        wanted: Name of the variable, for messages.
        faults: Receives what is wrong with the file.
    """
    expected = f'a .mat file with {wanted}'
    try:
        yield
    except FileNotFoundError:
        faults.add(path, 'no such file', expected)
    except (OSError, ValueError, MemoryError) as error:
        what = f'{type(error).__name__}: {error}'
        faults.add(path, f'cannot be read ({what})', expected)


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

"""Checks of arrays."""

import numpy as np


def names_list(names: list[str] | np.ndarray) -> list[str]:
    """Check frame names and return them as a list of ``str``.

    Raises:
        ValueError: Not one-dimensional, not strings, or a name twice.
    """
    array = strings('frame_names', names)
    unique, counts = np.unique(array, return_counts=True)
    if (counts > 1).any():
        raise ValueError(f'frame_names: {unique[counts > 1][0]} occurs twice')
    return array.tolist()


def strings(
    name: str, value: list[str] | np.ndarray, num: int | None = None
) -> np.ndarray:
    """Check a list of strings.

    Args:
        name: What the errors call it.
        value: Array-like.
        num: How many are expected. Defaults to None, any number.

    Returns:
        (n,) array of ``str``.

    Raises:
        ValueError: Not one-dimensional, not strings, or another number.
    """
    array = np.asarray(value)
    if array.ndim != 1 or (array.size and array.dtype.kind != 'U'):
        raise ValueError(
            f'{name}: expected a list of strings, got shape '
            f'{array.shape} of {array.dtype}'
        )
    if num not in (None, len(array)):
        raise ValueError(f'{name}: expected {num}, got {len(array)}')
    return array


def numbers(
    name: str,
    value: np.ndarray,
    shape: tuple[int | None, ...],
    dtype: type | None = None,
    floating: bool = False,
) -> np.ndarray:
    """Check the shape and kind of an array.

    Args:
        name: What the errors call it.
        value: Array-like.
        shape: Expected length per axis, None for any.
        dtype: Converted to this if given.
        floating: Whether floating-point values are allowed; integers then
            become float32. Without it only integers pass.

    Returns:
        The array, not copied where it fits already.

    Raises:
        ValueError: Wrong shape or kind.
    """
    array = np.asarray(value)
    fits = array.ndim == len(shape) and all(
        want is None or have == want
        for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits:
        wanted = ', '.join('*' if n is None else str(n) for n in shape)
        raise ValueError(
            f'{name}: expected shape ({wanted}), got {array.shape}'
        )
    allowed = 'fiu' if floating else 'iu'
    if array.dtype.kind not in allowed and array.size:
        kind = 'numbers' if floating else 'integers'
        raise ValueError(f'{name}: expected {kind}, got {array.dtype}')
    if floating and array.dtype.kind != 'f':
        array = array.astype(np.float32)
    return array if dtype is None else array.astype(dtype, copy=False)


def integers(
    name: str, value: np.ndarray, shape: tuple[int | None, ...]
) -> np.ndarray:
    """Check an integer array of any width, see :func:`numbers`."""
    array = numbers(name, value, shape)
    return array if array.dtype.kind in 'iu' else array.astype(np.int64)


def check_finite(name: str, array: np.ndarray) -> None:
    """Raise ValueError if a value is NaN or infinite."""
    bad = ~np.isfinite(array)
    if bad.any():
        raise ValueError(
            f'{name}: {int(bad.sum())} values are not finite, the first in '
            f'row {int(np.argwhere(bad)[0, 0])}'
        )


def check_range(name: str, array: np.ndarray, size: int) -> None:
    """Raise ValueError unless every value indexes ``size`` rows."""
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(
            f'{name}: expected indices 0..{size - 1}, got {array.min()}..'
            f'{array.max()}'
        )

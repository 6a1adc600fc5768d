"""Offsets of frames in flat arrays.

The rows of all frames are one array; those of frame f are
``rows[frame_splits[f]:frame_splits[f + 1]]``.
"""

from collections.abc import Sequence

import numpy as np


def splits_from_counts(counts: Sequence[int] | np.ndarray) -> np.ndarray:
    """Offsets of consecutive runs of rows, from the lengths of the runs.

    >>> from mmps.structures import splits_from_counts
    >>> splits_from_counts([2, 0, 1])
    array([0, 2, 2, 3])

    Args:
        counts: (F,) rows of each frame, 0 allowed.

    Returns:
        (F + 1,) int64, from 0 to the number of rows.
    """
    splits = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, dtype=np.int64, out=splits[1:])
    return splits


def frame_of_rows(frame_splits: np.ndarray) -> np.ndarray:
    """Expand offsets (F + 1,) to the frame index of each row (N,).

    >>> from mmps.structures import frame_of_rows
    >>> frame_of_rows([0, 2, 2, 3])
    array([0, 0, 2])
    """
    return np.repeat(np.arange(len(frame_splits) - 1), np.diff(frame_splits))


def ranges(starts: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Concatenate ``arange(start, start + count)`` of every pair.

    >>> import numpy as np
    >>> from mmps.structures import ranges
    >>> ranges(np.array([5, 10]), np.array([2, 3]))
    array([ 5,  6, 10, 11, 12])

    Args:
        starts: (K,) first value of each range.
        counts: (K,) length of each range, 0 allowed.

    Returns:
        (sum of counts,) int64.
    """
    splits = splits_from_counts(counts)
    return np.arange(splits[-1]) + np.repeat(starts - splits[:-1], counts)


def check_splits(name: str, splits: np.ndarray, num_rows: int) -> None:
    """Raise ValueError unless offsets rise from 0 to ``num_rows``."""
    if not len(splits) or splits[0] != 0 or (np.diff(splits) < 0).any():
        raise ValueError(f'{name}: offsets must start at 0 and never fall')
    if splits[-1] != num_rows:
        raise ValueError(
            f'{name}: the last offset is {splits[-1]}, but there are '
            f'{num_rows} rows'
        )

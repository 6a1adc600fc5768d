import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmps.structures import frame_of_rows, ranges, splits_from_counts

COUNTS = st.lists(st.integers(0, 5), max_size=12)


@given(COUNTS)
def test_splits_cut_the_rows_into_frames(counts):
    splits = splits_from_counts(counts)

    assert splits.dtype == np.int64
    assert len(splits) == len(counts) + 1
    rows = list(range(sum(counts)))
    found = [rows[a:b] for a, b in zip(splits[:-1], splits[1:])]
    want = []
    for count in counts:
        want.append(rows[:count])
        rows = rows[count:]
    assert found == want


@given(COUNTS)
def test_frame_of_rows_is_the_inverse(counts):
    frames = frame_of_rows(splits_from_counts(counts))

    assert frames.tolist() == [
        frame for frame, count in enumerate(counts) for _ in range(count)
    ]
    again = splits_from_counts(np.bincount(frames, minlength=len(counts)))
    assert again.tolist() == splits_from_counts(counts).tolist()


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int32, np.uint64])
def test_counts_of_any_integer_type(dtype):
    counts = np.array([1, 0, 1, 1], dtype)

    assert splits_from_counts(counts).tolist() == [0, 1, 1, 2, 3]
    # A sum beyond the counts' own type.
    many = splits_from_counts(np.full(300, 1, dtype))
    assert many[-1] == 300


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 5))))
def test_ranges(pairs):
    starts, counts = np.array(pairs, int).reshape(-1, 2).T

    want = [v for start, n in pairs for v in range(start, start + n)]
    assert ranges(starts, counts).tolist() == want

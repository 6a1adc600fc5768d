"""Tests of ranks and average precision against numpy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from mmps.evaluation.functional.ranking import (
    average_precisions,
    first_hit_ranks,
    rank_hits,
    row_bisect,
    sorted_gallery,
)


@pytest.mark.parametrize('width', [0, 1, 2, 7, 8, 9, 100])
@pytest.mark.parametrize('side', ['left', 'right'])
def test_row_bisect_equals_searchsorted(width, side):
    rng = np.random.default_rng(width)
    table = np.sort(rng.integers(0, 10, (5, width)), axis=1).astype(np.float32)
    rows = rng.integers(0, 5, 200)
    values = rng.integers(-1, 11, 200).astype(np.float32)
    wanted = [
        np.searchsorted(table[row], value, side)
        for row, value in zip(rows, values)
    ]
    assert row_bisect(table, rows, values, side).tolist() == wanted


@pytest.mark.parametrize('share', [0.0, 0.1, 0.5, 1.0])
def test_sorted_gallery(share):
    rng = np.random.default_rng(0)
    splits = np.cumsum([0, *rng.integers(0, 4, 30)])
    sims = rng.random((6, splits[-1])).astype(np.float32)
    inside = rng.random((6, 30)) < share
    gallery = sorted_gallery(sims, inside, splits)
    for row in range(6):
        wanted = []
        for frame in np.flatnonzero(inside[row]):
            wanted += sims[row, splits[frame] : splits[frame + 1]].tolist()
        filled = gallery[row][np.isfinite(gallery[row])]
        assert filled.tolist() == sorted(wanted)
        assert (
            gallery[row][: gallery.shape[1] - len(filled)] == -np.inf
        ).all()


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    width=st.integers(1, 40),
    levels=st.sampled_from([1, 3, 1000]),
)
def test_average_precision_equals_sklearn(seed, width, levels):
    rng = np.random.default_rng(seed)
    sims = rng.integers(0, levels, (4, width)).astype(np.float32)
    right = rng.random((4, width)) < 0.3
    missed = rng.integers(0, 3, 4)
    rows, dets = np.nonzero(right)
    positives = right.sum(axis=1) + missed
    inside = np.ones((4, 1), dtype=bool)
    splits = np.array([0, width])
    gallery = sorted_gallery(sims, inside, splits)
    above, at_least = rank_hits(gallery, rows, sims[rows, dets])
    for row, det, a, b in zip(rows, dets, above, at_least):
        assert a == sum(s > sims[row, det] for s in sims[row])
        assert b == sum(s >= sims[row, det] for s in sims[row])
    aps = average_precisions(rows, sims[rows, dets], at_least, positives)
    ranks = first_hit_ranks(
        sims, inside, np.zeros(width, int), (rows, dets), above, at_least
    )
    for row in range(4):
        found = right[row].sum()
        wanted = 0.0
        if found:
            wanted = average_precision_score(right[row], sims[row])
            wanted *= found / positives[row]
        assert aps[row] == pytest.approx(wanted, abs=1e-12)
        order = sorted(range(width), key=lambda i: -sims[row, i])
        hits = [rank for rank, i in enumerate(order) if right[row, i]]
        assert ranks[row] == (hits[0] if hits else -1)

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.gallery.topk import TopK


def search(queries, vectors, k, cuts, max_norm=None, rows=None):
    best = TopK(queries, k, lambda number: vectors[number], max_norm)
    rows = np.arange(len(vectors)) if rows is None else rows
    for part in np.split(rows, cuts):
        if len(part):
            best.update(vectors[part], part)
    return best.result()


def brute_force(queries, vectors, k):
    """Float64, stable: equal similarities in the order of the rows."""
    sims = queries.astype(np.float64) @ vectors.astype(np.float64).T
    # The product's last digits depend on the BLAS; sums of rows do not.
    for i, query in enumerate(queries.astype(np.float64)):
        sims[i] = (vectors.astype(np.float64) * query).sum(axis=1)
    rows = np.argsort(-sims, axis=1, kind='stable')[:, :k]
    values = np.take_along_axis(sims, rows, 1)
    pad = k - rows.shape[1]
    return (
        np.pad(rows, ((0, 0), (0, pad)), constant_values=-1),
        np.pad(values, ((0, 0), (0, pad)), constant_values=-np.inf),
    )


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    num=st.integers(0, 300),
    num_queries=st.integers(1, 5),
    k=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    copies=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float16]),
    data=st.data(),
)
def test_equals_brute_force_however_the_rows_are_cut(
    num, num_queries, k, seed, copies, dtype, data
):
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((num, 16)).astype(dtype)
    if copies and num:  # many exact ties
        vectors = vectors[rng.integers(0, max(num // 20, 1), num)]
    queries = rng.standard_normal((num_queries, 16)).astype(np.float32)
    cuts = sorted(data.draw(st.lists(st.integers(0, num), max_size=4)))
    rows, sims = search(queries, vectors, k, cuts)
    wanted_rows, wanted = brute_force(queries, vectors, k)
    np.testing.assert_array_equal(rows, wanted_rows)
    np.testing.assert_array_equal(sims, wanted)


def test_rows_that_rise_keep_the_last():
    """Every block is better than all before: the floor must follow."""
    vectors = np.ones((5000, 4), np.float32) * np.arange(5000)[:, None]
    query = np.ones((1, 4), np.float32)
    rows, sims = search(query, vectors, 3, range(50, 5000, 50))
    assert rows.tolist() == [[4999, 4998, 4997]]
    assert sims.tolist() == [[4 * 4999, 4 * 4998, 4 * 4997]]


def test_all_rows_equal_keep_the_first():
    vectors = np.tile(np.array([0.6, 0.8], np.float32), (20_000, 1))
    query = np.array([[1, 0], [0, 1]], np.float32)
    rows, _ = search(query, vectors, 5, range(1000, 20_000, 1000), 1.0)
    assert rows.tolist() == [list(range(5))] * 2


def test_differences_below_single_precision_are_ordered():
    base = np.full((400, 64), 0.125, np.float32)
    order = np.random.default_rng(0).permutation(400)
    base[:, 0] += order * np.float32(1.5e-8)  # steps of one ulp
    query = np.full((1, 64), 0.125, np.float32)
    rows, _ = search(query, base, 400, [100, 200])
    wanted, _ = brute_force(query, base, 400)
    np.testing.assert_array_equal(rows, wanted)


def test_numbers_of_some_rows_only():
    vectors = np.random.default_rng(0).standard_normal((50, 8))
    vectors = vectors.astype(np.float32)
    some = np.arange(1, 50, 3)
    rows, _ = search(vectors[:2], vectors, 4, [7], rows=some)
    wanted, _ = brute_force(vectors[:2], vectors[some], 4)
    np.testing.assert_array_equal(rows, some[wanted])


@pytest.mark.parametrize('num', [1, 100, 5000])
def test_blocks_are_smaller_with_many_queries(num):
    best = TopK(np.zeros((num, 4), np.float32), 3, None)
    assert 1024 <= best.block_rows <= 2**16
    assert best.block_rows * num <= max(2**23, 1024 * num)

"""The k largest inner products with a large array, exactly."""

from collections.abc import Callable

import numpy as np

# Of a block: rows at the start and later, and similarities if there are many
# queries.
_FIRST_ROWS = 2**12
_BLOCK_ROWS = 2**16
_BLOCK_SIMS = 2**23
_PRODUCT_ROWS = 1024  # so that they stay in the cache
# Candidates per query, in units of k, that make an exact choice worth while.
_CROWD = 4


class TopK:
    """Collects the k best rows of each query from blocks of rows.

    A matrix product in float32 finds the candidates; only these few are
    computed again in float64, always in the same way. So the result does not
    depend on how the rows are cut into blocks, and rows with equal vectors
    tie exactly.

    Args:
        queries: (q, D) float32.
        k: Rows to keep of each query.
        fetch: Gives the (n, D) vectors of (n,) row numbers.
        max_norm: Upper bound of the rows' lengths, if one is known. Defaults
            to None, measured in every block.
    """

    def __init__(
        self,
        queries: np.ndarray,
        k: int,
        fetch: Callable[[np.ndarray], np.ndarray],
        max_norm: float | None = None,
    ) -> None:
        self.queries = queries
        self.k = k
        self.fetch = fetch
        self.max_norm = max_norm
        self._exact = queries.astype(np.float64)
        num, dim = queries.shape
        # A bound of the rounding error of a float32 product, per unit of
        # the other vector's length.
        self._error = (
            2.0 * (dim + 8) * 2.0**-24 * np.linalg.norm(self._exact, axis=1)
        )
        self._norm = 0.0 if max_norm is None else max_norm
        # Nothing below can be among the best.
        self._floor = np.full(num, -np.inf)
        # Candidates: query, row, similarity; sorted ones first.
        self._found = [_no_candidates()]
        self._num_new = self._num_seen = 0
        self._memory = np.empty(0, np.float32), np.empty(0, bool)

    @property
    def block_rows(self) -> int:
        """Number of rows of the next block that fits the caches best.

        Blocks are small until there is a floor, without which no row can be
        left out.
        """
        few = max(1024, _BLOCK_SIMS // max(len(self.queries), 1))
        return min(few, _BLOCK_ROWS, max(_FIRST_ROWS, 3 * self._num_seen))

    def update(self, vectors: np.ndarray, rows: np.ndarray | int) -> None:
        """Look at a block of rows.

        Blocks have to come in the order of their rows: of equal ones the
        first are kept.

        Args:
            vectors: (n, D) float16 or float32.
            rows: (n,) number of each row, rising, or that of the first of
                consecutive ones.
        """
        self._num_seen += len(vectors)
        vectors = vectors.astype(np.float32, copy=False)
        if self.max_norm is None:
            squares = np.einsum('nd,nd->n', vectors, vectors)
            longest = float(squares.max(initial=0.0)) ** 0.5
            self._norm = max(self._norm, longest)
        sims, mask = self._buffers(len(vectors))
        np.matmul(self.queries, vectors.T, out=sims)
        np.greater_equal(sims, self._bound(self._floor), out=mask)
        passed = np.flatnonzero(mask)
        room = self.k * len(sims)
        if len(passed) > _CROWD * room and self.k < len(vectors):
            # The block's own k-th best is a bound as well.
            own = np.partition(sims, -self.k, axis=1)[:, -self.k]
            self._floor = np.maximum(self._floor, own - self._slack)
            np.greater_equal(sims, self._bound(self._floor), out=mask)
            passed = np.flatnonzero(mask)
        if not len(passed):
            return
        query, place = np.divmod(passed, len(vectors))
        number = place + rows if np.isscalar(rows) else rows[place]
        self._found.append((query, number, sims.reshape(-1)[passed]))
        self._num_new += len(query)
        if 2 * self._num_new >= room:
            self._prune()

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and similarities, best first.

        Returns:
            (q, k) int64 rows, -1 where there are fewer than k, and their
            (q, k) float64 similarities, -inf there.
        """
        self._prune()
        self._choose()
        query, row, sim = self._found[0]
        first = np.searchsorted(query, np.arange(len(self.queries)))
        rank = np.arange(len(query)) - first[query]
        shape = len(self.queries), self.k
        rows, sims = np.full(shape, -1, np.int64), np.full(shape, -np.inf)
        rows[query, rank], sims[query, rank] = row, sim
        return rows, sims

    def _buffers(self, num: int) -> tuple[np.ndarray, np.ndarray]:
        """(q, num) float32 and bool; fresh memory for each block is slow."""
        size = len(self.queries) * num
        if self._memory[0].size < size:
            self._memory = np.empty(size, np.float32), np.empty(size, bool)
        return tuple(memory[:size].reshape(-1, num) for memory in self._memory)

    @property
    def _slack(self) -> np.ndarray:
        return self._error * self._norm

    def _bound(self, floor: np.ndarray) -> np.ndarray:
        """(q, 1) float32 product that a row above the floor always has."""
        lowest = -np.finfo(np.float32).max
        bound = np.maximum(floor - 2 * self._slack, lowest)
        return bound.astype(np.float32)[:, None]

    def _prune(self) -> None:
        """Drop candidates below the k-th best, and raise the floor to it."""
        query, row, sim = map(np.concatenate, zip(*self._found))
        # Stable: candidates came in the order of their rows.
        order = np.lexsort((-sim, query))
        query, row, sim = query[order], row[order], sim[order]
        edges = np.searchsorted(query, np.arange(len(self.queries) + 1))
        kth = edges[:-1] + self.k - 1
        full = kth < edges[1:]
        floor = sim[kth[full]] - self._slack[full]
        self._floor[full] = np.maximum(self._floor[full], floor)
        keep = sim >= self._bound(self._floor)[query, 0]
        self._found = [(query[keep], row[keep], sim[keep])]
        self._num_new = 0
        if keep.sum() > _CROWD * self.k * len(self.queries):
            self._choose()

    def _choose(self) -> None:
        """Keep exactly the k best candidates of each query, sorted."""
        query, row, _ = self._found[0]
        sim = np.empty(len(query))
        for start in range(0, len(query), _PRODUCT_ROWS):
            cut = slice(start, start + _PRODUCT_ROWS)
            product = self.fetch(row[cut]).astype(np.float64)
            product *= self._exact[query[cut]]
            product.sum(axis=1, out=sim[cut])
        order = np.lexsort((row, -sim, query))
        query = query[order]
        first = np.searchsorted(query, np.arange(len(self.queries)))
        best = np.arange(len(query)) - first[query] < self.k
        order = order[best]
        self._found = [(query[best], row[order], sim[order])]


def _no_candidates() -> tuple[np.ndarray, ...]:
    return np.zeros(0, int), np.zeros(0, int), np.zeros(0, np.float32)

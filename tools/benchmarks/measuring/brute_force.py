"""Search by one sort of all similarities."""

import numpy as np

from mmps.gallery import Matches


def is_brute_force(
    found: Matches, queries: np.ndarray, vectors: list[np.ndarray], k: int
) -> bool:
    """Whether a search's result is that of one sort of all similarities.

    Args:
        found: The result.
        queries: (q, D).
        vectors: The gallery, (n, D) each, one part after another.
        k: Rows per query.
    """
    for i, query in enumerate(queries.astype(np.float64)):
        sims = np.concatenate([part @ queries[i] for part in vectors])
        likely = np.argpartition(-sims, 3 * k)[: 3 * k] if (
            len(sims) > 3 * k
        ) else np.arange(len(sims))  # fmt: skip
        rows = np.concatenate(_vectors_at(vectors, np.sort(likely)))
        exact = rows.astype(np.float64) @ query
        best = np.sort(likely)[np.argsort(-exact, kind='stable')[:k]]
        if best.tolist() != found.ids[i].tolist():
            return False
    return True


def _vectors_at(
    parts: list[np.ndarray], index: np.ndarray
) -> list[np.ndarray]:
    """Rows by their number in all parts together."""
    out, start = [], 0
    for part in parts:
        mine = index[(index >= start) & (index < start + len(part))]
        out.append(part[mine - start])
        start += len(part)
    return out

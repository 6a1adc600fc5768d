"""Better orders from the neighbourhoods of embeddings."""

import numpy as np


def expand_query(
    query: np.ndarray,
    neighbours: np.ndarray,
    similarities: np.ndarray,
    alpha: float = 3.0,
) -> np.ndarray:
    """Alpha query expansion (Radenovic et al., TPAMI 2019, section 3.2).

    >>> import numpy as np
    >>> query, neighbours = np.array([1.0, 0.0]), np.array([[0.6, 0.8]])
    >>> expand_query(query, neighbours, neighbours @ query).round(2)
    array([0.99, 0.15])

    Args:
        query: (D,) unit embedding.
        neighbours: (n, D) embeddings of its best matches.
        similarities: (n,) to the query; negative ones have no weight.
        alpha: Power of the weights; 0 is the plain average query
            expansion. Defaults to 3.

    Returns:
        (D,) unit vector of the query and its weighted neighbours; the query
        where they cancel out.
    """
    weights = np.maximum(similarities.astype(np.float64), 0) ** alpha
    unit = neighbours.astype(np.float64)
    lengths = np.linalg.norm(unit, axis=1, keepdims=True)
    unit = np.divide(unit, lengths, where=lengths > 0, out=unit)
    total = query.astype(np.float64) + weights @ unit
    length = np.linalg.norm(total)
    return query if length < 1e-6 else (total / length).astype(query.dtype)


def k_reciprocal_distances(
    queries: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    weight: float = 0.3,
) -> np.ndarray:
    """Distances re-ranked with k-reciprocal encoding.

    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
    Encoding", CVPR 2017, equations 3 to 12, as products of N x N matrices
    (N = q + n): meant for some hundred candidates.

    Args:
        queries: (q, D) unit embeddings.
        gallery: (n, D) unit embeddings.
        k1: Neighbours of the reciprocal sets. Defaults to 20.
        k2: Neighbours of the local expansion. Defaults to 6.
        weight: lambda, of the original distance. Defaults to 0.3.

    Returns:
        (q, n) float64, smaller is better.

    Raises:
        ValueError: k1 or k2 is not positive, or the weight not in [0, 1].
    """
    if k1 < 1 or k2 < 1 or not 0 <= weight <= 1:
        raise ValueError(
            f'k1 and k2: expected 1 or more, weight: 0 to 1; got {k1}, {k2}, '
            f'{weight}'
        )
    everything = np.concatenate([queries, gallery]).astype(np.float64)
    distances = np.maximum(2 - 2 * everything @ everything.T, 0)
    highest = distances.max(axis=0)
    distances /= np.where(highest > 0, highest, 1)
    distances = distances.T
    ranks = np.argsort(distances, axis=1, kind='stable')
    wide = _reciprocal(ranks, k1)
    narrow = _reciprocal(ranks, round(k1 / 2))
    sets = _expanded(wide, narrow)
    encoded = np.exp(-distances) * sets
    encoded /= encoded.sum(axis=1, keepdims=True)
    if k2 > 1:
        encoded = encoded[ranks[:, :k2]].mean(axis=1)
    num = len(queries)
    jaccard = np.empty((num, len(gallery)))
    for row in range(num):  # (n, N) at a time
        common = np.minimum(encoded[row], encoded[num:]).sum(axis=1)
        jaccard[row] = 1 - common / (2 - common)
    return (1 - weight) * jaccard + weight * distances[:num, num:]


def _reciprocal(ranks: np.ndarray, k: int) -> np.ndarray:
    """(N, N) bool: each is among the k neighbours of the other (eq. 2)."""
    near = np.zeros(ranks.shape, bool)
    np.put_along_axis(near, ranks[:, : k + 1], True, axis=1)
    return near & near.T


def _expanded(wide: np.ndarray, narrow: np.ndarray) -> np.ndarray:
    """Add the sets of members that share two thirds with them (eq. 3)."""
    small = narrow.astype(np.float32)
    shared = wide.astype(np.float32) @ small.T
    joins = wide & (3 * shared > 2 * small.sum(axis=1))
    return wide | (joins.astype(np.float32) @ small > 0)

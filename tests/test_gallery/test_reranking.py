import numpy as np
import pytest

from mmps.gallery.reranking import expand_query, k_reciprocal_distances


def unit(rng, num, dim=8):
    vectors = rng.standard_normal((num, dim))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def reference(queries, gallery, k1, k2, weight):
    """Zhong et al., sets and sums as the paper writes them."""
    x = np.concatenate([queries, gallery])
    num = len(x)
    dist = np.array([[max(2 - 2 * a @ b, 0) for b in x] for a in x])
    dist = (dist / dist.max(axis=0)).T
    rank = np.argsort(dist, axis=1, kind='stable')

    def near(i, k):
        return list(rank[i, : k + 1])

    def reciprocal(i, k):
        return {j for j in near(i, k) if i in near(j, k)}

    encoded = np.zeros((num, num))
    for i in range(num):
        base = reciprocal(i, k1)
        members = set(base)
        for j in base:
            other = reciprocal(j, round(k1 / 2))
            if len(other & base) > 2 / 3 * len(other):
                members |= other
        for j in members:
            encoded[i, j] = np.exp(-dist[i, j])
        encoded[i] /= encoded[i].sum()
    if k2 > 1:
        encoded = np.array(
            [np.mean([encoded[j] for j in rank[i, :k2]], 0)
             for i in range(num)]
        )  # fmt: skip
    out = np.zeros((len(queries), len(gallery)))
    for i in range(len(queries)):
        for j in range(len(gallery)):
            both = encoded[i], encoded[len(queries) + j]
            jaccard = 1 - np.minimum(*both).sum() / np.maximum(*both).sum()
            out[i, j] = (1 - weight) * jaccard + weight * dist[
                i, len(queries) + j
            ]
    return out


@pytest.mark.parametrize(
    ('num_queries', 'num', 'k1', 'k2', 'weight'),
    [(1, 30, 20, 6, 0.3), (3, 40, 6, 3, 0.3), (2, 25, 5, 1, 0.0),
     (1, 4, 20, 6, 0.3), (1, 1, 20, 6, 0.5), (2, 12, 1, 2, 1.0)],
)  # fmt: skip
def test_equals_the_papers_loops(num_queries, num, k1, k2, weight):
    rng = np.random.default_rng(num)
    queries, gallery = unit(rng, num_queries), unit(rng, num)
    ours = k_reciprocal_distances(queries, gallery, k1, k2, weight)
    wanted = reference(queries, gallery, k1, k2, weight)
    np.testing.assert_allclose(ours, wanted, atol=1e-9)


def test_reranking_uses_the_neighbourhood():
    """A lone vector near the query falls behind a whole cluster of its."""
    rng = np.random.default_rng(1)
    centre, lone = unit(rng, 2, 32)
    cluster = centre + 0.05 * rng.standard_normal((6, 32))
    query = 0.75 * centre + 0.66 * lone
    gallery = np.concatenate([[lone], cluster, unit(rng, 30, 32)])
    gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
    query /= np.linalg.norm(query)
    found = k_reciprocal_distances(query[None], gallery, k1=6, k2=3)[0]
    assert set(np.argsort(found)[:6]) == set(range(1, 7))


@pytest.mark.parametrize(
    'bad', [dict(k1=0), dict(k2=0), dict(weight=1.5), dict(weight=-0.1)]
)
def test_options_out_of_range(bad):
    with pytest.raises(ValueError, match='expected'):
        k_reciprocal_distances(np.eye(2), np.eye(2), **bad)


def test_expansion_against_a_loop():
    rng = np.random.default_rng(0)
    query, near = unit(rng, 1)[0], 3 * unit(rng, 4)
    sims = np.array([0.9, 0.5, 0.1, -0.4])
    total = query.copy()
    for vector, sim in zip(near, sims):
        total += max(sim, 0) ** 3 * vector / 3
    wanted = total / np.linalg.norm(total)
    np.testing.assert_allclose(expand_query(query, near, sims), wanted)
    plain = query + near.sum(0) / 3  # alpha 0: also those below zero
    np.testing.assert_allclose(
        expand_query(query, near, sims, alpha=0),
        plain / np.linalg.norm(plain),
    )


def test_expansion_that_cancels_keeps_the_query():
    query = np.array([1.0, 0.0])
    assert (expand_query(query, -query[None], np.array([1.0])) == query).all()
    zero = np.zeros((1, 2))
    assert (expand_query(query, zero, np.array([1.0])) == query).all()

"""Searching a gallery by embeddings, and the results of a search."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmps.gallery import BaseGallery, Filters, Frame, GalleryKeyError
from mmps.gallery.reranking import expand_query, k_reciprocal_distances
from mmps.utils.errors import UsageError

# Candidates that are re-ranked.
RERANKED = 200
_RETRIES = 3


@dataclass
class Match:
    """One answer.

    Args:
        id: Of the row in the gallery.
        similarity: Of the embeddings.
        score: Of the detection.
        bbox: xyxy in pixels of the frame.
        frame: Where the person is.
        track: Number of the track in a video, -1 for none.
    """

    id: int
    similarity: float
    score: float
    bbox: tuple[float, float, float, float]
    frame: Frame
    track: int


@dataclass
class SearchResult:
    """Answers to one query.

    Args:
        matches: Best first; all at or above the threshold if there is one.
        threshold: Lowest similarity of a match that is accepted, None for
            none.
    """

    matches: list[Match]
    threshold: float | None

    @property
    def nobody(self) -> bool:
        """Whether there is no match at or above the threshold."""
        return not self.matches


def search_gallery(
    gallery: BaseGallery,
    embeddings: np.ndarray,
    k: int = 20,
    filters: Filters | None = None,
    rerank: bool = False,
    expand: int = 0,
    threshold: float | None = None,
) -> SearchResult:
    """Find a person again by embeddings.

    >>> import numpy as np
    >>> from mmps.apis import search_gallery
    >>> from mmps.gallery import (
    ...     Frame, GalleryHeader, GalleryRows, create_gallery)
    >>> people = GalleryRows(
    ...     ids=[1, 2], frames=[0, 1], bboxes=np.ones((2, 4)),
    ...     scores=[0.9, 0.8], embeddings=np.eye(2))
    >>> with create_gallery('street', GalleryHeader(dim=2)) as gallery:
    ...     gallery.add([Frame('a.jpg'), Frame('b.jpg')], people)
    ...     found = search_gallery(gallery, np.array([[0.6, 0.8]]), k=1)
    >>> [(m.frame.name, round(m.similarity, 3)) for m in found.matches]
    [('b.jpg', 0.8)]

    Args:
        gallery: Where to look.
        embeddings: (m, D) of the same person; their mean direction is the
            query.
        k: Answers. Defaults to 20.
        filters: Which rows to look at. Defaults to None, all.
        rerank: Put the best candidates into the order of k-reciprocal
            re-ranking; similarities stay those of the embeddings. Defaults
            to False.
        expand: Average the query with so many best matches first (alpha
            query expansion); for the order alone as well. Defaults to 0.
        threshold: Matches that are less similar are rejected. Defaults to
            None, the gallery's calibrated one if it has one; -1 accepts
            everything.

    Returns:
        The best matches.

    Raises:
        UsageError: The embeddings have no common direction.
        GalleryError: They do not fit the gallery.
    """
    query = mean_direction(embeddings)
    return with_retries(
        lambda: result_of(
            gallery,
            *_best(gallery, query, k, filters, rerank, expand),
            k,
            threshold,
        )
    )


def with_retries(search: Callable[[], SearchResult]) -> SearchResult:
    """Search again if a writer removed rows between two steps.

    Args:
        search: Looks at the gallery several times.
    """
    for _ in range(_RETRIES):
        with contextlib.suppress(GalleryKeyError):
            return search()
    return search()


def bounded(k: int, gallery: BaseGallery) -> int:
    """So many matches, but not many more than the gallery has rows.

    Args:
        k: Matches wanted; memory of a search grows with it.
        gallery: Will be searched.
    """
    return k if k <= RERANKED else min(k, max(len(gallery), RERANKED))


def _best(
    gallery: BaseGallery,
    query: np.ndarray,
    k: int,
    filters: Filters | None,
    rerank: bool,
    expand: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Row ids in order, and their similarities to the original query."""
    wider = query
    if expand:
        near = gallery.search(query[None], bounded(expand, gallery), filters)
        found = near.ids[0] >= 0
        if found.any():
            rows, _ = gallery.get(near.ids[0][found], embeddings=True)
            wider = expand_query(
                query, rows.embeddings, near.similarities[0][found]
            )
    # Those that the threshold accepts may not be the first in the new order.
    most = max(k, RERANKED) if rerank or expand else k
    matches = gallery.search(wider[None], bounded(most, gallery), filters)
    found = matches.ids[0] >= 0
    ids, similarities = matches.ids[0][found], matches.similarities[0][found]
    if not len(ids) or not (rerank or expand):
        return ids, similarities
    vectors = gallery.get(ids, embeddings=True)[0].embeddings
    vectors = vectors.astype(np.float64)
    # The calibrated threshold is for similarities to the query itself.
    similarities = vectors @ query.astype(np.float64)
    if rerank:
        head = vectors[:RERANKED]
        lengths = np.linalg.norm(head, axis=1, keepdims=True)
        head = head / np.maximum(lengths, 1e-12)
        distances = k_reciprocal_distances(wider[None], head)[0]
        order = np.arange(len(ids))
        order[: len(head)] = np.argsort(distances, kind='stable')
        ids, similarities = ids[order], similarities[order]
    return ids, similarities


def result_of(
    gallery: BaseGallery,
    ids: np.ndarray,
    similarities: np.ndarray,
    k: int,
    threshold: float | None,
) -> SearchResult:
    """The first k rows that are accepted, with their frames.

    Args:
        gallery: Holds the rows.
        ids: (n,) best first.
        similarities: (n,) of them.
        k: Answers.
        threshold: See :func:`search_gallery`.
    """
    if threshold is None:
        threshold = gallery.header.threshold
    if threshold is not None:
        accepted = similarities >= threshold
        ids, similarities = ids[accepted], similarities[accepted]
    ids, similarities = ids[:k], similarities[:k]
    rows, frames = gallery.get(ids)
    return SearchResult(
        [
            Match(
                id=int(rows.ids[i]),
                similarity=float(similarities[i]),
                score=float(rows.scores[i]),
                bbox=tuple(rows.bboxes[i].tolist()),
                frame=frames[rows.frames[i]],
                track=int(rows.tracks[i]),
            )
            for i in range(len(rows))
        ],
        threshold,
    )


def mean_direction(embeddings: np.ndarray) -> np.ndarray:
    """(D,) unit vector between (m, D) embeddings."""
    vectors = np.asarray(embeddings, np.float64)
    if vectors.ndim != 2 or not len(vectors):
        raise UsageError(
            f'embeddings: expected shape (m, D), got {vectors.shape}'
        )
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    total = (vectors / np.maximum(lengths, 1e-12)).sum(axis=0)
    length = np.linalg.norm(total)
    if not np.isfinite(length) or length < 1e-6:
        raise UsageError('the query has no direction: zero or not finite')
    return (total / length).astype(np.float32)

"""Context bipartite graph matching (CBGM) in a gallery."""

import numpy as np

from mmps.evaluation.functional import ContextMatching
from mmps.evaluation.functional.context import ContextMatcher
from mmps.gallery import BaseGallery, Filters, GalleryRows
from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    splits_from_counts,
)

from .person_model import Detections
from .searching import bounded

SETTINGS = ContextMatching(k1=30, k2=4)
_QUERY_FRAME = 'query'
_NEVER = -2.0  # less than any cosine


def match_context(
    gallery: BaseGallery,
    query: np.ndarray,
    box: np.ndarray,
    company: Detections,
    k: int,
    filters: Filters,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Search, and re-score by the people beside the query.

    The frames of the best candidates form a small test set, which the
    evaluation's own matcher re-scores.

    Args:
        gallery: The gallery.
        query: (D,) embedding.
        box: (4,) of the query in its frame.
        company: People of the query's frame, the query among them.
        k: Matches wanted.
        filters: Which rows to look at.

    Returns:
        (n,) row ids, similarities to the query, and re-scored similarities,
        which sort them. All people of the candidates' frames are included.
    """
    most = bounded(max(k, SETTINGS.k1), gallery)
    near = gallery.search(query[None], most, filters)
    ids, sims = near.ids[0], near.similarities[0]
    ids, sims = ids[ids >= 0], sims[ids >= 0]
    if not len(ids):
        return ids, sims, sims
    rows, frames = gallery.get(ids)
    names = sorted({frames[i].name for i in rows.frames[: SETTINGS.k1]})
    people = [gallery.people_in(name, embeddings=True) for name in names]
    truth, preds = _as_test_set(query, box, company, names, people)
    matcher = ContextMatcher(truth, preds, SETTINGS)
    start = len(company)
    candidates = np.concatenate([part.ids for part in people])
    before = np.full((1, start + len(candidates)), _NEVER, np.float32)
    before[0, start:] = np.concatenate(
        [part.embeddings.astype(np.float64) @ query for part in people]
    )
    if filters.min_score is not None:  # frames have passed the other filters
        scores = np.concatenate([part.scores for part in people])
        before[0, start:][scores < filters.min_score] = _NEVER
    in_gallery = np.ones((1, truth.num_frames), bool)
    in_gallery[0, 0] = False
    after = matcher(before, np.array([0]), in_gallery, truth.box_frames)
    plain = dict(zip(ids.tolist(), sims.tolist()))
    rescored = dict(plain)
    for row, sim, new in zip(
        candidates.tolist(),
        before[0, start:].tolist(),
        after[0, start:].tolist(),
    ):
        if sim > _NEVER:
            plain[row], rescored[row] = sim, new
    order = sorted(plain, key=lambda row: -rescored[row])
    return (
        np.array(order, np.int64),
        np.array([plain[row] for row in order]),
        np.array([rescored[row] for row in order]),
    )


def _as_test_set(
    query: np.ndarray,
    box: np.ndarray,
    company: Detections,
    names: list[str],
    people: list[GalleryRows],
) -> tuple[SearchGroundTruth, SearchPredictions]:
    """The query's frame and the candidates' frames."""
    bboxes = [company.bboxes, *(part.bboxes for part in people)]
    scores = [company.scores, *(part.scores for part in people)]
    vectors = [company.embeddings, *(part.embeddings for part in people)]
    frame_splits = splits_from_counts([len(part) for part in scores])
    frames = [_QUERY_FRAME, *(f'{i}:{name}' for i, name in enumerate(names))]
    boxes = np.concatenate(bboxes).astype(np.float32)
    truth = SearchGroundTruth(
        frame_names=frames,
        camera_ids=np.full(len(frames), -1),
        bboxes=boxes,
        person_ids=np.full(len(boxes), -1),
        frame_splits=frame_splits,
        query_bboxes=np.asarray(box, np.float32)[None],
        query_person_ids=np.array([0]),
        query_frames=np.array([0]),
    )
    preds = SearchPredictions(
        frames,
        frame_splits,
        boxes,
        np.concatenate(scores),
        np.concatenate([part.astype(np.float32) for part in vectors]),
        query[None].astype(np.float32),
    )
    return truth, preds

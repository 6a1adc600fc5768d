"""Person-search accuracy: mAP, top-k and CMC of stored predictions."""

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    frame_of_rows,
)

from .context import ContextMatcher, ContextMatching
from .paired_boxes import (
    first_of_best,
    match_threshold,
    paired_iou,
    same_frame_pairs,
)
from .ranking import (
    average_precisions,
    first_hit_ranks,
    rank_hits,
    sorted_gallery,
)
from .scene_filtering import SceneFilter, SceneFiltering
from .search_tasks import REGULAR, SearchTask, build_tasks

# Similarities held at a time by one worker: 2 million are 24 MB.
_CHUNK_SIZE = 2_000_000


@dataclass
class ProtocolResult:
    """Accuracy of one protocol on one gallery.

    Args:
        name: The protocol's or the gallery's name.
        det_thr: Detections with a lower score took no part.
        queries: (q,) indices of the queries that were evaluated.
        aps: (q,) average precision x recall of each, float64.
        first_ranks: (q,) rank of its first right answer from 0, -1 where
            there is none.
        num_positives: (q,) gallery entries that hold the person.
        num_found: (q,) of these, the ones with a right detection.
        num_skipped: Queries left out because the protocol leaves them
            nothing to find.
        scene_thr: Threshold of the gallery filter, None without one.
            Defaults to None.
        skipped_frames: Share of the galleries' frames that the gallery
            filter leaves out. Defaults to 0.
        lost_frames: Share of the frames with the person that it leaves out.
            Defaults to 0.
    """

    name: str
    det_thr: float
    queries: np.ndarray
    aps: np.ndarray
    first_ranks: np.ndarray
    num_positives: np.ndarray
    num_found: np.ndarray
    num_skipped: int
    scene_thr: float | None = None
    skipped_frames: float = 0.0
    lost_frames: float = 0.0

    @property
    def mean_ap(self) -> float:
        """mAP in [0, 1]; NaN without a query."""
        return float(self.aps.mean()) if len(self.aps) else float('nan')

    def top(self, k: int) -> float:
        """Share of queries with a right answer among the first k."""
        if not len(self.aps):
            return float('nan')
        found = (self.first_ranks >= 0) & (self.first_ranks < k)
        return float(found.mean())

    def cmc(self, max_rank: int) -> np.ndarray:
        """(max_rank,) top-1 to top-max_rank."""
        return np.array([self.top(k) for k in range(1, max_rank + 1)])

    def metrics(self, topk: Iterable[int] = (1, 5, 10)) -> dict[str, float]:
        """``mAP`` and ``top-k`` as fractions."""
        return {'mAP': self.mean_ap} | {f'top-{k}': self.top(k) for k in topk}


class SearchProblem:
    """Predictions laid beside the ground truth, ready to be searched.

    Similarity is the dot product of the stored embeddings, taken in float64
    and rounded to float32: equal embeddings then tie exactly, on any BLAS
    and in any order of frames.

    Args:
        truth: Ground truth of the test set.
        preds: Predictions of the same frames, in any order.
        det_thr: Detections with a lower score take no part.
        cbgm: Settings of the re-scoring by context; None for none.
        scenes: Settings of the gallery filter; None for none.

    Raises:
        ValueError: The predictions are not of these frames and queries, or
            have no scenes for a filter.
    """

    def __init__(
        self,
        truth: SearchGroundTruth,
        preds: SearchPredictions,
        det_thr: float = 0.5,
        cbgm: ContextMatching | None = None,
        scenes: SceneFiltering | None = None,
    ) -> None:
        preds = preds.align(truth)
        self.truth = truth
        self.preds = preds.select(preds.scores >= det_thr)
        self.det_thr = det_thr
        self.frame_splits = self.preds.frame_splits
        self.det_frames = frame_of_rows(self.frame_splits)
        self._gallery = self.preds.embeddings.astype(np.float64).T
        self._queries = self.preds.query_embeddings.astype(np.float64)
        _check_lengths(self._gallery.T, self._queries)
        self._matcher = None
        if cbgm is not None:
            self._matcher = ContextMatcher(truth, self.preds, cbgm)
        self._scenes = None
        if scenes is not None:
            self._scenes = SceneFilter(preds, scenes)

    def similarities(self, queries: np.ndarray) -> np.ndarray:
        """(B, N) float32 similarity of queries to all detections."""
        return (self._queries[queries] @ self._gallery).astype(np.float32)

    def task_similarities(
        self, sims: np.ndarray, task: SearchTask, rows: slice
    ) -> np.ndarray:
        """Re-score (B, N) similarities for one gallery, if asked to."""
        queries = task.queries[rows]
        if self._matcher is not None:
            sims = self._matcher(
                sims, queries, self.searched(task, rows), self.det_frames
            )
        if self._scenes is not None:
            sims = self._scenes.weighted(sims, queries, self.det_frames)
        return sims

    def searched(self, task: SearchTask, rows: slice) -> np.ndarray:
        """(B, F) bool, frames of the galleries that are searched.

        Args:
            task: The task.
            rows: Which of its rows.
        """
        frames = task.in_gallery[rows]
        if self._scenes is None:
            return frames
        return frames & self._scenes.searched(task.queries[rows])

    def left_out(
        self, task: SearchTask, rows: slice
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What the gallery filter saves, in frames.

        Args:
            task: The task.
            rows: Which of its rows.

        Returns:
            Four times (B,). For every row the number of frames of its
            gallery, of those that are not searched, of frames with the
            person, and of those of them that are not searched.
        """
        frames = task.in_gallery[rows]
        searched = self.searched(task, rows)
        first, last = np.searchsorted(task.rows, [rows.start, rows.stop])
        holds = np.zeros_like(frames)
        holds[task.rows[first:last] - rows.start, task.frames[first:last]] = (
            True
        )
        holds &= frames
        return tuple(
            mask.sum(1)
            for mask in (frames, frames & ~searched, holds, holds & ~searched)
        )

    def overlaps(
        self, task: SearchTask, rows: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the detections that lie on the person looked for.

        Args:
            task: The task.
            rows: Which of its rows.

        Returns:
            (P,) row from 0 and (P,) detection of each; a detection on two
            boxes of the person comes twice.
        """
        first, last = np.searchsorted(task.rows, [rows.start, rows.stop])
        boxes = task.bboxes[first:last]
        pairs, dets = same_frame_pairs(
            task.frames[first:last], self.frame_splits
        )
        iou = paired_iou(boxes[pairs], self.preds.bboxes[dets])
        near = (iou > 0) & (iou >= match_threshold(boxes)[pairs])
        pairs, dets = pairs[near], dets[near]
        return task.rows[first:last][pairs] - rows.start, dets

    def hits(
        self, sims: np.ndarray, task: SearchTask, rows: slice
    ) -> tuple[np.ndarray, np.ndarray]:
        """Find the right answer of each positive frame.

        Of the detections that overlap the person enough
        (:func:`match_threshold`) it is the most similar one, not the one
        that overlaps best; the others are wrong answers.

        Args:
            sims: (B, N) similarities of the rows.
            task: The task.
            rows: Which of its rows.

        Returns:
            (P,) row from 0 and (P,) detection of each right answer.
        """
        row, dets = self.overlaps(task, rows)
        if self._scenes is not None:
            there = self.searched(task, rows)[row, self.det_frames[dets]]
            row, dets = row[there], dets[there]
        entry = row * self.truth.num_frames + self.det_frames[dets]
        best = first_of_best(sims[row, dets], entry, dets)
        return row[best], dets[best]


def _check_lengths(embeddings: np.ndarray, queries: np.ndarray) -> None:
    """Raise ValueError where a similarity might not be finite."""
    with np.errstate(over='ignore'):
        longest = [
            np.sqrt(np.einsum('nd,nd->n', rows, rows).max(initial=0))
            for rows in (embeddings, queries)
        ]
        product = longest[0] * longest[1]
    if not product < np.finfo(np.float32).max:
        raise ValueError(
            f'embeddings up to {longest[0]:.3g} long and query_embeddings up '
            f'to {longest[1]:.3g}: their products are beyond single precision'
        )


def evaluate_search(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    det_thr: float = 0.5,
    protocols: Iterable[str] = (REGULAR,),
    galleries: Iterable[str] | None = None,
    cbgm: ContextMatching | None = None,
    scenes: SceneFiltering | None = None,
) -> dict[str, ProtocolResult]:
    """Evaluate person search as the field does.

    Per query: all detections of its gallery are ranked by similarity; in
    every frame with the person the most similar detection that overlaps it
    is right. AP is sklearn's (ties in one step) times recall. A query
    stays in the mean with 0 where nothing is found; only one whose
    positives were all taken away by a camera protocol is left out, with a
    warning.

    Person 0 is asked for by the first of three frames, and found behind
    person 1:

    >>> from mmps.evaluation.functional import evaluate_search
    >>> from mmps.structures import SearchGroundTruth, SearchPredictions
    >>> frames, splits = ['a.jpg', 'b.jpg', 'c.jpg'], [0, 1, 2, 3]
    >>> boxes = [[0.0, 0.0, 20.0, 50.0]] * 3
    >>> truth = SearchGroundTruth(
    ...     frames, camera_ids=[1, 2, 3], bboxes=boxes,
    ...     person_ids=[0, 0, 1], frame_splits=splits, query_bboxes=boxes[:1],
    ...     query_person_ids=[0], query_frames=[0])
    >>> preds = SearchPredictions(
    ...     frames, splits, boxes, scores=[0.9, 0.9, 0.9],
    ...     embeddings=[[1.0, 0.0], [0.6, 0.8], [0.8, 0.6]],
    ...     query_embeddings=[[1.0, 0.0]])
    >>> evaluate_search(truth, preds)['regular'].metrics()
    {'mAP': 0.5, 'top-1': 0.0, 'top-5': 1.0, 'top-10': 1.0}

    Args:
        truth: Ground truth of the test set.
        preds: Predictions of the same frames, in any order.
        det_thr: Detections with a lower score take no part.
        protocols: Of 'regular', 'cross-camera' and 'same-camera'.
        galleries: Names of explicit galleries; None for all there are.
        cbgm: Settings of the re-scoring by context; None for none.
        scenes: Settings of the gallery filter; None for none.

    Returns:
        What was found, by name. A name is the protocol's, or the gallery's
        with the protocol appended where it is not regular
        ('100_cross-camera').

    Raises:
        ValueError: Predictions of other frames, or an unknown name.
    """
    galleries = None if galleries is None else tuple(galleries)
    tasks = build_tasks(truth, tuple(protocols), galleries)
    problem = SearchProblem(truth, preds, det_thr, cbgm, scenes)
    step = max(1, _CHUNK_SIZE // max(1, len(problem.det_frames)))
    starts = range(0, truth.num_queries, step)

    def score(start: int) -> list[tuple[np.ndarray, ...]]:
        return _score_chunk(
            problem, tasks, start, start + step, scenes is not None
        )

    # numpy releases the interpreter lock in sorts and products; further
    # threads of the BLAS would compete for the same cores.
    workers = min(4, os.cpu_count() or 1)
    with threadpool_limits(1, 'blas'), ThreadPoolExecutor(workers) as pool:
        parts = list(pool.map(score, starts))
    return {
        task.name: _result(task, det_thr, scenes, [part[i] for part in parts])
        for i, task in enumerate(tasks)
    }


def _score_chunk(
    problem: SearchProblem,
    tasks: list[SearchTask],
    start: int,
    stop: int,
    scenes: bool,
) -> list[tuple[np.ndarray, ...]]:
    """(aps, first ranks, found) of the queries start..stop, per task.

    With ``scenes`` also what :meth:`SearchProblem.left_out` gives.
    """
    stop = min(stop, problem.truth.num_queries)
    sims = problem.similarities(np.arange(start, stop))
    scored = []
    for task in tasks:
        low, high = np.searchsorted(task.queries, [start, stop])
        rows = slice(int(low), int(high))
        own = sims
        if high - low < stop - start:
            own = sims[task.queries[rows] - start]
        own = problem.task_similarities(own, task, rows)
        in_gallery = problem.searched(task, rows)
        hit_rows, hit_dets = problem.hits(own, task, rows)
        values = own[hit_rows, hit_dets]
        gallery = sorted_gallery(own, in_gallery, problem.frame_splits)
        above, at_least = rank_hits(gallery, hit_rows, values)
        aps = average_precisions(
            hit_rows, values, at_least, task.num_positives[rows]
        )
        ranks = first_hit_ranks(
            own,
            in_gallery,
            problem.det_frames,
            (hit_rows, hit_dets),
            above,
            at_least,
        )
        found = np.bincount(hit_rows, minlength=len(own))
        left_out = problem.left_out(task, rows) if scenes else ()
        scored.append((aps, ranks, found, *left_out))
    return scored


def _result(
    task: SearchTask,
    det_thr: float,
    scenes: SceneFiltering | None,
    parts: list[tuple[np.ndarray, ...]],
) -> ProtocolResult:
    aps, ranks, found = (
        np.concatenate([part[i] for part in parts])
        if parts
        else np.empty(0, dtype)
        for i, dtype in enumerate((np.float64, np.int64, np.int64))
    )
    of_scenes = {}
    if scenes is not None:
        frames, left, held, lost = (
            sum(int(part[i].sum()) for part in parts) for i in range(3, 7)
        )
        of_scenes = dict(
            scene_thr=scenes.thr,
            skipped_frames=left / max(frames, 1),
            lost_frames=lost / max(held, 1),
        )
    keep = np.ones(len(task.queries), dtype=bool)
    if task.skip_empty:
        keep = task.num_positives > 0
    skipped = int((~keep).sum())
    if skipped:
        warnings.warn(
            f'{task.name}: {skipped} of {len(keep)} queries have nobody to '
            'find under this protocol and are left out of the means',
            stacklevel=3,
        )
    return ProtocolResult(
        name=task.name,
        det_thr=det_thr,
        queries=task.queries[keep],
        aps=aps[keep],
        first_ranks=ranks[keep],
        num_positives=task.num_positives[keep],
        num_found=found[keep],
        num_skipped=skipped,
        **of_scenes,
    )

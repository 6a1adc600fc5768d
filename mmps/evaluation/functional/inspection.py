"""Rank lists and distributions of similarity of a search."""

from dataclasses import dataclass

import numpy as np

from .search_evaluation import SearchProblem
from .search_tasks import SearchTask

_CHUNK_SIZE = 2_000_000


@dataclass
class RankList:
    """The best answers to one query.

    Args:
        query: Its index in the query list.
        dets: (k,) detections, best first, as rows of ``problem.preds``.
        frames: (k,) their frames.
        similarities: (k,) float32.
        right: (k,) bool.
        num_positives: Gallery entries that hold the person.
    """

    query: int
    dets: np.ndarray
    frames: np.ndarray
    similarities: np.ndarray
    right: np.ndarray
    num_positives: int


def rank_list(
    problem: SearchProblem, task: SearchTask, query: int, k: int = 10
) -> RankList:
    """Rank the detections of one query's gallery, as the evaluation does.

    Args:
        problem: Predictions beside ground truth.
        task: The protocol and gallery.
        query: Index in the query list.
        k: How many answers; fewer where the gallery has no more.

    Returns:
        The best answers; equal similarities keep the order of frames.

    Raises:
        ValueError: The task does not have this query.
    """
    row = int(np.searchsorted(task.queries, query))
    if row == len(task.queries) or task.queries[row] != query:
        raise ValueError(f'query {query}: {task.name} has no such query')
    rows = slice(row, row + 1)
    sims = problem.similarities(np.array([query]))
    sims = problem.task_similarities(sims, task, rows)
    searched = problem.searched(task, rows)[0]
    inside = np.flatnonzero(searched[problem.det_frames])
    best = inside[np.argsort(-sims[0, inside], kind='stable')[:k]]
    _, hits = problem.hits(sims, task, rows)
    return RankList(
        query=query,
        dets=best,
        frames=problem.det_frames[best],
        similarities=sims[0, best],
        right=np.isin(best, hits),
        num_positives=int(task.num_positives[row]),
    )


def similarity_histogram(
    problem: SearchProblem, task: SearchTask, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Count similarities of queries to themselves and to others.

    Every detection that lies on the query's person counts as the same person,
    although only one of them per frame is a right answer.

    Args:
        problem: Predictions beside ground truth.
        task: The protocol and gallery.
        edges: (n + 1,) rising bin edges.

    Returns:
        Two (n,) counts, same and different people.
    """
    same = np.zeros(len(edges) - 1, dtype=np.int64)
    everyone = same.copy()
    step = max(1, _CHUNK_SIZE // max(1, len(problem.det_frames)))
    for start in range(0, len(task.queries), step):
        rows = slice(start, min(start + step, len(task.queries)))
        sims = problem.similarities(task.queries[rows])
        sims = problem.task_similarities(sims, task, rows)
        pairs = np.unique(np.stack(problem.overlaps(task, rows)), axis=1)
        inside = problem.searched(task, rows)[:, problem.det_frames]
        pairs = pairs[:, inside[pairs[0], pairs[1]]]
        same += np.histogram(sims[pairs[0], pairs[1]], edges)[0]
        everyone += np.histogram(sims[inside], edges)[0]
    return same, everyone - same

"""Thresholds of similarity for open-set search."""

from dataclasses import dataclass

import numpy as np

from mmps.structures import SearchGroundTruth, SearchPredictions

from .search_evaluation import SearchProblem
from .search_tasks import REGULAR, build_tasks

_CHUNK_SIZE = 2_000_000


@dataclass(frozen=True)
class OpenSetThreshold:
    """A threshold and what it does on the set it was calibrated on.

    Args:
        threshold: Matches with a lower similarity are rejected.
        fpir: False positive identification rate: share of queries that get
            a wrong match although the person is not in the gallery.
        tpir: True positive identification rate: share of queries whose best
            match is right and accepted.
        num_queries: Queries that were counted.
    """

    threshold: float
    fpir: float
    tpir: float
    num_queries: int


def calibrate_threshold(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    fpir: float = 0.05,
    det_thr: float = 0.5,
    protocol: str = REGULAR,
) -> OpenSetThreshold:
    """Find the lowest threshold with at most a given rate of false alarms.

    Each query is asked twice: against its gallery without the person (every
    match is false), and against all of it. A larger gallery has more people
    that look alike: calibrate on one about as large as those searched.

    >>> from mmps.evaluation.functional import calibrate_threshold
    >>> from mmps.testing import (
    ...     noisy_predictions, random_ground_truth)
    >>> truth = random_ground_truth(num_queries=10)
    >>> found = calibrate_threshold(truth, noisy_predictions(truth), fpir=0.2)
    >>> found.fpir <= 0.2, found.num_queries
    (True, 10)

    Args:
        truth: Ground truth of a labelled set.
        preds: Predictions of the same frames.
        fpir: Highest rate. Defaults to 0.05.
        det_thr: Detections with a lower score take no part. Defaults to 0.5.
        protocol: Which gallery of a query. Defaults to 'regular'.

    Returns:
        The threshold and both rates.

    Raises:
        ValueError: The rate is not in (0, 1), or there is no query.
    """
    if not 0 < fpir < 1:
        raise ValueError(f'fpir: expected 0 to 1, got {fpir}')
    problem = SearchProblem(truth, preds, det_thr)
    task = build_tasks(truth, (protocol,), None)[0]
    if not len(task.queries):
        raise ValueError('the test set has no query to calibrate on')
    wrong, right = [], []
    step = max(1, _CHUNK_SIZE // max(1, len(problem.det_frames)))
    for start in range(0, len(task.queries), step):
        rows = slice(start, min(start + step, len(task.queries)))
        sims = problem.similarities(task.queries[rows])
        sims = np.where(
            task.in_gallery[rows][:, problem.det_frames], sims, -np.inf
        )
        # Without the person, all detections on the person are gone, too.
        row, det = problem.overlaps(task, rows)
        person = np.full_like(sims, -np.inf)
        person[row, det] = sims[row, det]
        sims[row, det] = -np.inf
        wrong.append(sims.max(axis=1, initial=-np.inf))
        right.append(person.max(axis=1, initial=-np.inf))
    alarm, hit = np.concatenate(wrong), np.concatenate(right)
    # Number of false alarms that may pass.
    allowed = int(fpir * len(alarm))
    highest = -np.sort(-alarm)
    threshold = np.nextafter(highest[allowed], np.float32(np.inf))
    return OpenSetThreshold(
        threshold=float(threshold),
        fpir=float((alarm >= threshold).mean()),
        tpir=float(((hit >= threshold) & (hit > alarm)).mean()),
        num_queries=len(alarm),
    )

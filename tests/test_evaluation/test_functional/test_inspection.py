"""Tests of rank lists and histograms against the evaluation and a loop."""

import numpy as np
import pytest

from mmps.evaluation.functional import (
    ContextMatching,
    SearchProblem,
    build_tasks,
    evaluate_search,
    rank_list,
    sample_gallery,
    similarity_histogram,
)
from mmps.testing import noisy_predictions, random_ground_truth


@pytest.fixture
def truth():
    truth = random_ground_truth(num_queries=12)
    truth.galleries['15'] = sample_gallery(truth, 15)
    return truth


@pytest.mark.parametrize('cbgm', [None, ContextMatching(5, 3)])
def test_rank_list_is_what_was_evaluated(truth, cbgm):
    preds = noisy_predictions(truth, 6, embedding_noise=2)
    # Two levels: nearly everything ties.
    preds.embeddings = np.round(preds.embeddings)
    preds.query_embeddings = np.round(preds.query_embeddings)
    results = evaluate_search(truth, preds, cbgm=cbgm)
    problem = SearchProblem(truth, preds, cbgm=cbgm)
    [task] = build_tasks(truth)
    for query in range(12):
        ranks = rank_list(problem, task, query, k=10**6)
        assert (np.diff(ranks.similarities) <= 0).all()
        first = np.flatnonzero(ranks.right)
        wanted = results['15'].first_ranks[query]
        assert (first[0] if len(first) else -1) == wanted
        assert ranks.right.sum() == results['15'].num_found[query]
        assert ranks.num_positives == results['15'].num_positives[query]
        assert truth.query_frames[query] not in ranks.frames
        short = rank_list(problem, task, query, k=3)
        assert short.dets.tolist() == ranks.dets[:3].tolist()


def test_query_that_the_gallery_does_not_have(truth):
    problem = SearchProblem(truth, noisy_predictions(truth, 4))
    [task] = build_tasks(truth)
    with pytest.raises(ValueError, match='query 12: 15 has no such query'):
        rank_list(problem, task, 12)


def test_histogram_equals_loop(truth, monkeypatch):
    truth.galleries.clear()
    preds = noisy_predictions(truth, 6, embedding_noise=1)
    problem = SearchProblem(truth, preds)
    [task] = build_tasks(truth)
    edges = np.linspace(-1, 1, 9)
    sims = problem.similarities(np.arange(12))
    same, other = [], []
    for query in range(12):
        person = truth.query_person_ids[query]
        for det, frame in enumerate(problem.det_frames):
            if frame == truth.query_frames[query]:
                continue
            on_person = False
            for box in range(*truth.frame_splits[frame : frame + 2]):
                a, b = problem.preds.bboxes[det], truth.bboxes[box]
                low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
                inter = np.prod(np.clip(high - low, 0, None))
                union = sum(np.prod(x[2:] - x[:2]) for x in (a, b)) - inter
                on_person |= (
                    truth.person_ids[box] == person and inter / union >= 0.5
                )
            (same if on_person else other).append(sims[query, det])
    wanted = [np.histogram(x, edges)[0].tolist() for x in (same, other)]
    for chunk in 2_000_000, 500:
        monkeypatch.setattr(
            'mmps.evaluation.functional.inspection._CHUNK_SIZE', chunk
        )
        found = similarity_histogram(problem, task, edges)
        assert [counts.tolist() for counts in found] == wanted
    assert sum(wanted[0]) > 20

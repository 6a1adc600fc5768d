"""Tests of re-scoring by context against a search over all assignments."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from mmps.evaluation.functional import (
    ContextMatching,
    evaluate_search,
    sample_gallery,
)
from mmps.structures import SearchGroundTruth, SearchPredictions
from mmps.testing import noisy_predictions, random_ground_truth


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(x[2] - x[0]) * (x[3] - x[1]) for x in (a, b)]
    return width * height / (sum(areas) - width * height)


def best_assignment(graph):
    """Return (column of row 0 or None, largest edge) of the best matching."""
    rows, columns = graph.shape
    if rows <= columns:
        options = [
            list(zip(range(rows), chosen))
            for chosen in permutations(range(columns), rows)
        ]
    else:
        options = [
            list(zip(chosen, range(columns)))
            for chosen in permutations(range(rows), columns)
        ]
    best = max(options, key=lambda pairs: sum(graph[p] for p in pairs))
    mine = [column for row, column in best if row == 0]
    return (mine[0] if mine else None), max(graph[pair] for pair in best)


def loop_rescoring(truth, preds, k1, k2, det_thr=0.5, same=0.4, unit=False):
    """Make the similarity hook of the loop in conftest."""
    splits = preds.frame_splits

    def plain(query, dets):
        feature = preds.query_embeddings[query].astype(np.float64)
        return [
            np.float32(np.dot(preds.embeddings[d].astype(np.float64), feature))
            for d in dets
        ]

    def rescored(query, frame, dets, sims, shown):
        pool = []
        for other in sorted(shown):
            found = [
                d
                for d in range(splits[other], splits[other + 1])
                if preds.scores[d] >= det_thr
            ]
            pool += [
                (-s, d, other) for s, d in zip(plain(query, found), found)
            ]
        near = {other for _, _, other in sorted(pool)[:k1]}
        if frame not in near:
            return sims
        own = truth.query_frames[query]
        company = [
            d
            for d in range(splits[own], splits[own + 1])
            if preds.scores[d] >= det_thr
            and iou(preds.bboxes[d], truth.query_bboxes[query]) <= same
        ]
        company = sorted(company, key=lambda d: -preds.scores[d])[: k2 - 1]
        graph = np.array(
            [sims]
            + [
                [
                    np.float32(
                        np.dot(
                            preds.embeddings[c].astype(np.float64),
                            preds.embeddings[d].astype(np.float64),
                        )
                        / (np.linalg.norm(preds.embeddings[c]) if unit else 1)
                    )
                    for d in dets
                ]
                for c in company
            ]
        )
        column, edge = best_assignment(graph)
        if column is None:
            return sims
        return [edge if i == column else s for i, s in enumerate(sims)]

    return rescored


@pytest.mark.parametrize(('k1', 'k2'), [(1, 2), (5, 3), (40, 4), (10, 1)])
@pytest.mark.parametrize('seed', [0, 1])
def test_equals_loop(agree, k1, k2, seed):
    truth = random_ground_truth(12, 4, 2, 6, 3.0, seed=seed)
    preds = noisy_predictions(truth, 6, embedding_noise=1.5, seed=seed)
    result = evaluate_search(truth, preds, cbgm=ContextMatching(k1, k2))
    agree(
        truth,
        preds,
        result['regular'],
        similarity=loop_rescoring(truth, preds, k1, k2),
    )
    if k2 == 1:
        plain = evaluate_search(truth, preds)['regular']
        np.testing.assert_array_equal(result['regular'].aps, plain.aps)


def test_equals_loop_in_a_gallery(agree):
    truth = random_ground_truth(20, 4, 2, 6, 3.0)
    truth.galleries['8'] = sample_gallery(truth, 8)
    preds = noisy_predictions(truth, 6, embedding_noise=1.5)
    settings = ContextMatching(6, 3)
    result = evaluate_search(truth, preds, cbgm=settings)['8']
    agree(
        truth,
        preds,
        result,
        gallery='8',
        similarity=loop_rescoring(truth, preds, 6, 3),
    )
    plain = evaluate_search(truth, preds)['8']
    assert not np.array_equal(result.aps, plain.aps)


def test_company_of_unit_length(agree):
    """The company counts as if it were no shorter than a query."""
    truth = random_ground_truth(12, 4, 2, 6, 3.0)
    preds = noisy_predictions(truth, 6, embedding_noise=1.5)
    lengths = np.linspace(0.2, 3, len(preds.embeddings))[:, None]
    preds = replace(preds, embeddings=preds.embeddings * lengths)
    unit = evaluate_search(
        truth, preds, cbgm=ContextMatching(6, 3, unit_company=True)
    )
    agree(
        truth,
        preds,
        unit['regular'],
        similarity=loop_rescoring(truth, preds, 6, 3, unit=True),
    )
    plain = evaluate_search(truth, preds, cbgm=ContextMatching(6, 3))
    assert not np.array_equal(plain['regular'].aps, unit['regular'].aps)


def test_company_lifts_the_right_answer():
    box, side = (0.0, 0.0, 40.0, 100.0), (60.0, 0.0, 100.0, 100.0)
    truth = SearchGroundTruth(
        frame_names=['query', 'pair', 'alone'],
        camera_ids=np.zeros(3, int),
        bboxes=np.array([box, side, box, side, box]),
        person_ids=np.array([0, -1, 0, -1, 1]),
        frame_splits=np.array([0, 2, 4, 5]),
        query_bboxes=np.array([box]),
        query_person_ids=np.array([0]),
        query_frames=np.array([0]),
    )
    preds = SearchPredictions(
        truth.frame_names,
        truth.frame_splits,
        truth.bboxes,
        np.full(5, 0.9),
        np.array([[1.0, 0], [0, 1.0], [0.6, 0], [0, 0.9], [0.7, 0.1]]),
        np.array([[1.0, 0.0]]),
    )
    plain = evaluate_search(truth, preds)['regular']
    assert plain.first_ranks.tolist() == [1]
    lifted = evaluate_search(truth, preds, cbgm=ContextMatching(30, 4))
    # The companion in 'pair' gives its .9 to the query's .6.
    assert lifted['regular'].first_ranks.tolist() == [0]


def test_settings():
    truth = random_ground_truth()
    assert ContextMatching.default_for(truth) == ContextMatching(30, 4)
    truth.galleries['5'] = sample_gallery(truth, 5)
    assert ContextMatching.default_for(truth) == ContextMatching(10, 3)
    with pytest.raises(ValueError, match='k1 and k2 must be 1 or more'):
        ContextMatching(0, 4)


def test_no_detections():
    truth = random_ground_truth()
    preds = noisy_predictions(truth, 4, found=0, false_per_frame=0)
    result = evaluate_search(truth, preds, cbgm=ContextMatching(30, 4))
    assert result['regular'].mean_ap == 0

"""Tests of detection figures against a loop over frames."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.evaluation.functional import evaluate_detection
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames


@pytest.mark.parametrize('score_thr', [0.01, 0.5])
@pytest.mark.parametrize('seed', range(3))
def test_equals_loop(loop_detection, score_thr, seed):
    truth = random_ground_truth(seed=seed)
    preds = noisy_predictions(truth, 2, box_noise=0.15, seed=seed)
    result = evaluate_detection(truth, preds, score_thr)
    assert result.score_thr == score_thr
    assert (result.recall, result.ap) == pytest.approx(
        loop_detection(truth, preds, score_thr, labelled=False)
    )
    assert (result.labelled_recall, result.labelled_ap) == pytest.approx(
        loop_detection(truth, preds, score_thr, labelled=True)
    )
    assert 0 < result.recall < 1
    order = np.random.default_rng(seed).permutation(truth.num_frames)
    assert evaluate_detection(truth, reorder_frames(preds, order), score_thr
                              ) == result  # fmt: skip


@settings(max_examples=25, derandomize=True, deadline=None)
@given(seed=st.integers(0, 2**16), crowd=st.sampled_from([1, 8]))
def test_property_crowds(loop_detection, seed, crowd):
    # A small frame: boxes overlap each other, matches compete.
    truth = random_ground_truth(
        6, 3, 2, 2, 6.0, frame_size=(200 * crowd, 400), seed=seed
    )
    preds = noisy_predictions(truth, 2, box_noise=0.2, seed=seed)
    preds.scores = np.round(preds.scores, 1)
    result = evaluate_detection(truth, preds)
    assert (result.recall, result.ap) == pytest.approx(
        loop_detection(truth, preds, 0.01, labelled=False)
    )
    assert (result.labelled_recall, result.labelled_ap) == pytest.approx(
        loop_detection(truth, preds, 0.01, labelled=True)
    )
    assert all(0 <= value <= 1 for value in result.metrics().values())


def perfect(truth):
    preds = noisy_predictions(truth, 2, found=0, false_per_frame=0)
    return dataclasses.replace(
        preds,
        frame_splits=truth.frame_splits,
        bboxes=truth.bboxes,
        scores=np.ones(len(truth.bboxes), np.float32),
        embeddings=np.zeros((len(truth.bboxes), 2), np.float32),
    )


def test_ground_truth_boxes_are_perfect():
    truth = random_ground_truth()
    assert (truth.person_ids < 0).any()
    metrics = evaluate_detection(truth, perfect(truth)).metrics()
    assert metrics == {
        'recall': 1.0, 'AP': 1.0, 'labelled_recall': 1.0, 'labelled_AP': 1.0
    }  # fmt: skip


def test_second_detection_of_a_person_is_wrong():
    truth = random_ground_truth(1, num_queries=1, people_per_frame=5)
    one = perfect(truth)
    twice = dataclasses.replace(
        one,
        frame_splits=one.frame_splits * 2,
        bboxes=np.tile(one.bboxes, (2, 1)),
        scores=np.tile(one.scores, 2),
        embeddings=np.tile(one.embeddings, (2, 1)),
    )
    result = evaluate_detection(truth, twice)
    assert (result.recall, result.ap) == (1.0, 0.5)


def test_nothing_detected_and_nobody_there():
    truth = random_ground_truth()
    nothing = noisy_predictions(truth, 2, found=0, false_per_frame=0)
    metrics = evaluate_detection(truth, nothing).metrics()
    assert set(metrics.values()) == {0.0}
    truth.person_ids[:] = -1
    result = evaluate_detection(truth, perfect(truth))
    assert (result.recall, result.ap) == (1.0, 1.0)
    assert np.isnan([result.labelled_recall, result.labelled_ap]).all()

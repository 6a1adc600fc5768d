"""Tests of made-up search problems."""

import numpy as np
import pytest

from mmps.testing import noisy_predictions, random_ground_truth


def test_ground_truth_of_prw_size():
    truth = random_ground_truth(
        6112, 450, 6, 2057, people_per_frame=4.1, labelled=0.67
    )
    assert (truth.num_frames, truth.num_queries) == (6112, 2057)
    assert len(truth.bboxes) == pytest.approx(25062, rel=0.03)
    labelled = truth.person_ids >= 0
    assert labelled.mean() == pytest.approx(0.67, abs=0.01)
    keys = truth.box_frames[labelled] * 450 + truth.person_ids[labelled]
    assert len(np.unique(keys)) == len(keys)
    for query in range(20):
        frame = truth.query_frames[query]
        rows = slice(*truth.frame_splits[frame : frame + 2])
        place = (
            truth.person_ids[rows]
            .tolist()
            .index(truth.query_person_ids[query])
        )
        np.testing.assert_array_equal(
            truth.bboxes[rows][place], truth.query_bboxes[query]
        )


def test_seed_decides():
    same = [random_ground_truth(seed=3).bboxes for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0][:5], random_ground_truth().bboxes[:5])
    with pytest.raises(ValueError, match='num_queries: 999 asked for'):
        random_ground_truth(num_queries=999)


@pytest.mark.parametrize('dtype', [np.float16, np.float32])
def test_predictions(dtype):
    truth = random_ground_truth(300)
    preds = noisy_predictions(truth, 8, found=0.9, dtype=dtype)
    assert preds.embeddings.dtype == dtype
    norms = np.linalg.norm(preds.embeddings.astype(float), axis=1)
    np.testing.assert_allclose(norms, 1, atol=2e-3)
    wanted = 0.9 * len(truth.bboxes) + 300
    assert len(preds.scores) == pytest.approx(wanted, rel=0.05)
    for begin, end in zip(preds.frame_splits[:-1], preds.frame_splits[1:]):
        assert (np.diff(preds.scores[begin:end]) <= 0).all()


def test_predictions_of_frames_without_people():
    truth = random_ground_truth(num_queries=0, people_per_frame=0.0)
    preds = noisy_predictions(truth, false_per_frame=2.0)
    assert len(truth.bboxes) == 0 < len(preds.bboxes)
    sides = preds.bboxes[:, 2:] - preds.bboxes[:, :2]
    assert (sides > 0).all()

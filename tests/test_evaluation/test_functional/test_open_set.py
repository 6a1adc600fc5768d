import numpy as np
import pytest

from mmps.evaluation.functional import calibrate_threshold
from mmps.evaluation.functional.paired_boxes import match_threshold, paired_iou
from mmps.testing import noisy_predictions, random_ground_truth


def rates(truth, preds, threshold, det_thr):
    """Query by query, detection by detection."""
    alarms = found = 0
    for query in range(truth.num_queries):
        wrong, right = [-np.inf], [-np.inf]
        for frame in range(truth.num_frames):
            if frame == truth.query_frames[query]:
                continue
            rows = range(truth.frame_splits[frame],
                         truth.frame_splits[frame + 1])  # fmt: skip
            mine = [
                truth.bboxes[row] for row in rows
                if truth.person_ids[row] == truth.query_person_ids[query]
            ]  # fmt: skip
            for det in range(preds.frame_splits[frame],
                             preds.frame_splits[frame + 1]):  # fmt: skip
                if preds.scores[det] < det_thr:
                    continue
                sim = np.float32(
                    preds.embeddings[det].astype(np.float64)
                    @ preds.query_embeddings[query].astype(np.float64)
                )
                on_person = any(
                    paired_iou(box[None], preds.bboxes[det][None])[0]
                    >= match_threshold(box[None])[0]
                    for box in mine
                )
                (right if on_person else wrong).append(sim)
        alarms += max(wrong) >= threshold
        found += max(right) >= threshold and max(right) > max(wrong)
    return alarms / truth.num_queries, found / truth.num_queries


@pytest.mark.parametrize('fpir', [0.04, 0.1, 0.3])
def test_rates_are_those_of_a_loop(fpir):
    truth = random_ground_truth(num_frames=60, num_queries=25, seed=3)
    preds = noisy_predictions(truth, embedding_noise=1.4, seed=4)
    found = calibrate_threshold(truth, preds, fpir, det_thr=0.4)
    assert found.num_queries == 25
    assert (found.fpir, found.tpir) == rates(
        truth, preds, found.threshold, 0.4
    )
    assert found.fpir <= fpir
    # The lowest such threshold: one step lower there are too many alarms.
    lower = np.nextafter(np.float32(found.threshold), np.float32(-1))
    assert rates(truth, preds, lower, 0.4)[0] > fpir


@pytest.mark.parametrize('fpir', [0, 1, -0.1, float('nan')])
def test_rate_out_of_range(fpir):
    truth = random_ground_truth()
    with pytest.raises(ValueError, match='fpir'):
        calibrate_threshold(truth, noisy_predictions(truth), fpir)


def test_a_set_without_queries():
    truth = random_ground_truth(num_queries=0)
    with pytest.raises(ValueError, match='no query to calibrate on'):
        calibrate_threshold(truth, noisy_predictions(truth))

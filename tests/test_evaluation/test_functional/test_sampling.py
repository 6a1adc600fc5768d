"""Tests of sampled galleries."""

import numpy as np
import pytest

from mmps.evaluation.functional import evaluate_search, sample_gallery
from mmps.testing import noisy_predictions, random_ground_truth


@pytest.mark.parametrize('limit', [None, 2])
def test_positives_first_own_frame_never(limit):
    truth = random_ground_truth(60, num_queries=12)
    gallery = sample_gallery(truth, 20, limit)
    for query in range(12):
        part = slice(*gallery.splits[query : query + 2])
        frames, boxes = gallery.frames[part], gallery.bboxes[part]
        assert len(set(frames.tolist())) == len(frames) == 20
        assert truth.query_frames[query] not in frames
        shown = ~np.isnan(boxes).any(axis=1)
        assert (np.diff(shown.astype(int)) <= 0).all()
        held = {}
        for frame, person, box in zip(
            truth.box_frames, truth.person_ids, truth.bboxes
        ):
            if person == truth.query_person_ids[query]:
                held[frame] = box
        held.pop(truth.query_frames[query])
        assert shown.sum() == min(20, len(held), limit or 20)
        for frame, box, has in zip(frames, boxes, shown):
            assert has == (frame in held and bool(has))
            if has:
                np.testing.assert_array_equal(box, held[frame])
        if limit is None and len(held) <= 20:
            assert not set(frames[~shown].tolist()) & set(held)


def test_galleries_nest_and_get_harder():
    truth = random_ground_truth(80, num_queries=12)
    for size in 10, 20, 40:
        truth.galleries[str(size)] = sample_gallery(truth, size, 5, seed=1)
    for query in range(12):
        sets = [
            set(g.frames[g.splits[query] : g.splits[query + 1]].tolist())
            for g in truth.galleries.values()
        ]
        assert sets[0] < sets[1] < sets[2]
    preds = noisy_predictions(truth, 8, embedding_noise=2)
    results = evaluate_search(truth, preds).values()
    aps = np.stack([result.aps for result in results])
    assert (np.diff(aps, axis=0) <= 1e-12).all()


def test_more_than_there_is():
    truth = random_ground_truth(10, num_queries=3)
    assert np.diff(sample_gallery(truth, 99).splits).tolist() == [9, 9, 9]
    with pytest.raises(ValueError, match='expected 1 or more, got 0'):
        sample_gallery(truth, 0)

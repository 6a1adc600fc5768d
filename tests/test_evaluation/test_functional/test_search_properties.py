"""Property tests of the search's figures for random predictions."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.evaluation.functional import (
    evaluate_detection,
    evaluate_search,
    sample_gallery,
)
from mmps.structures import GallerySet, SearchPredictions
from mmps.testing import noisy_predictions, random_ground_truth

FAR = np.array([[9000, 9000, 9050, 9100]], np.float32)
OPTIONS = dict(derandomize=True, deadline=None)


@st.composite
def problems(draw):
    """Ground truth and predictions of few directions: many ties."""
    seed = draw(st.integers(0, 2**16))
    truth = random_ground_truth(
        draw(st.integers(6, 14)),
        3,
        2,
        4,
        draw(st.sampled_from([2.0, 4.0])),
        labelled=0.9,
        seed=seed,
    )
    preds = noisy_predictions(
        truth, draw(st.integers(1, 4)), found=0.8, seed=seed
    )
    levels = draw(st.sampled_from([1, 2, 1000]))
    for name in 'embeddings', 'query_embeddings':
        rough = np.round(getattr(preds, name) * levels) / levels
        setattr(preds, name, rough)
    return truth, preds


@st.composite
def random_galleries(draw, truth):
    """Lists with repeats, the own frame, and boxes that nobody has."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    queries = rng.permutation(truth.num_queries)[: rng.integers(1, 4)]
    sizes = rng.integers(0, 2 * truth.num_frames, len(queries))
    frames = rng.integers(0, truth.num_frames, sizes.sum())
    boxes = np.full((len(frames), 4), np.nan, np.float32)
    for i in np.flatnonzero(rng.random(len(frames)) < 0.5):
        begin, end = truth.frame_splits[frames[i] : frames[i] + 2]
        if end > begin:
            boxes[i] = truth.bboxes[rng.integers(begin, end)]
    return GallerySet(
        np.concatenate([[0], np.cumsum(sizes)]),
        frames,
        boxes,
        queries,
        bool(draw(st.booleans())),
    )


@settings(max_examples=40, **OPTIONS)
@given(data=st.data())
def test_any_gallery_equals_the_loop(agree, data):
    truth, preds = data.draw(problems())
    truth.galleries['any'] = data.draw(random_galleries(truth))
    result = evaluate_search(truth, preds)['any']
    agree(truth, preds, result, gallery='any')
    assert (result.aps >= 0).all()
    assert (result.aps <= 1).all()


@settings(max_examples=20, **OPTIONS)
@given(problem=problems())
def test_a_gallery_of_all_frames_is_the_usual_one(problem):
    truth, preds = problem
    usual = evaluate_search(truth, preds)['regular']
    whole = sample_gallery(truth, truth.num_frames)
    none = sample_gallery(truth, 1, max_positives=0)
    for name, gallery in (
        ('whole', whole),
        ('rest', dataclasses.replace(whole, rest_of_frames=True)),
    ):
        truth.galleries = {name: gallery}
        result = evaluate_search(truth, preds)[name]
        np.testing.assert_array_equal(result.aps, usual.aps)
        np.testing.assert_array_equal(result.first_ranks, usual.first_ranks)
        np.testing.assert_array_equal(result.num_found, usual.num_found)
    truth.galleries = {'none': none}
    assert not evaluate_search(truth, preds)['none'].aps.any()


def with_detection(preds, frame, score, embedding):
    """Predictions with one detection far from everybody."""
    end = preds.frame_splits[frame + 1]
    splits = preds.frame_splits.copy()
    splits[frame + 1 :] += 1
    return SearchPredictions(
        preds.frame_names,
        splits,
        np.insert(preds.bboxes, end, FAR, axis=0),
        np.insert(preds.scores, end, score),
        np.insert(preds.embeddings, end, embedding, axis=0),
        preds.query_embeddings,
    )


@settings(max_examples=40, **OPTIONS)
@given(data=st.data())
def test_a_hopeless_detection_helps_nobody(data):
    truth, preds = data.draw(problems())
    frame = data.draw(st.integers(0, truth.num_frames - 1))
    score = data.draw(st.sampled_from([0.02, 0.5, 0.9, 1.0]))
    size = data.draw(st.sampled_from([-3.0, -0.1, 0.0, 0.5, 9.0]))
    query = data.draw(st.integers(0, truth.num_queries - 1))
    worse = with_detection(
        preds, frame, score, size * preds.query_embeddings[query]
    )
    before = evaluate_search(truth, preds)['regular']
    after = evaluate_search(truth, worse)['regular']
    assert (after.aps <= before.aps + 1e-12).all()
    found = before.first_ranks >= 0
    assert (after.first_ranks[found] >= before.first_ranks[found]).all()
    assert (after.first_ranks[~found] == -1).all()
    np.testing.assert_array_equal(after.num_found, before.num_found)
    # Out of the gallery it does not even harm.
    mine = truth.query_frames == frame
    np.testing.assert_array_equal(after.aps[mine], before.aps[mine])

    before, after = (evaluate_detection(truth, p) for p in (preds, worse))
    assert after.recall == before.recall
    assert after.labelled_recall == before.labelled_recall
    assert after.ap <= before.ap + 1e-12
    assert after.labelled_ap <= before.labelled_ap + 1e-12


@settings(max_examples=20, **OPTIONS)
@given(data=st.data())
def test_every_query_has_a_scale_of_its_own(data):
    truth, preds = data.draw(problems())
    powers = data.draw(
        st.lists(st.integers(-8, 8), min_size=4, max_size=4).map(np.array)
    )
    scaled = dataclasses.replace(
        preds, query_embeddings=preds.query_embeddings * 2.0 ** powers[:, None]
    )
    result = evaluate_search(truth, scaled)['regular']
    usual = evaluate_search(truth, preds)['regular']
    np.testing.assert_array_equal(result.aps, usual.aps)
    np.testing.assert_array_equal(result.first_ranks, usual.first_ranks)


@pytest.mark.parametrize('name', ['embeddings', 'query_embeddings'])
@pytest.mark.parametrize(
    ('largest', 'dtype'),
    [(3e38, np.float32), (1e200, np.float64), (1e308, np.float64)],
)
def test_similarities_that_would_not_be_finite(name, largest, dtype):
    """They would tie at infinity, or be NaN and stand anywhere."""
    truth = random_ground_truth(8, num_queries=4)
    preds = noisy_predictions(truth, 8, dtype=np.float64)
    value = getattr(preds, name)
    value = (value / np.abs(value).max()).astype(dtype) * dtype(largest)
    preds = dataclasses.replace(preds, **{name: value})
    for other in {'embeddings', 'query_embeddings'} - {name}:
        setattr(preds, other, getattr(preds, other) * 100)
    with pytest.raises(ValueError, match='beyond single precision'):
        evaluate_search(truth, preds)
    setattr(preds, name, value * 0)
    assert np.isfinite(evaluate_search(truth, preds)['regular'].aps).all()

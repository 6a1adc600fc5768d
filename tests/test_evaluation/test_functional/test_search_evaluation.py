"""Tests of search accuracy against a plain loop, and of edge cases."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.evaluation.functional import evaluate_search, sample_gallery
from mmps.structures import GallerySet, SearchGroundTruth, SearchPredictions
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames

PROTOCOLS = ('regular', 'cross-camera', 'same-camera')
SKIPPED = 'ignore:.*have nobody to find:UserWarning'


def make_truth(frames, queries, cameras=None):
    """Build ground truth from [(box, id), ...] per frame, (frame, box, id)."""
    counts = [len(people) for people in frames]
    people = [person for frame in frames for person in frame]
    return SearchGroundTruth(
        frame_names=[f'f{i}' for i in range(len(frames))],
        camera_ids=np.array(cameras or [0] * len(frames)),
        bboxes=np.array([p[0] for p in people], float).reshape(-1, 4),
        person_ids=np.array([p[1] for p in people], int),
        frame_splits=np.concatenate([[0], np.cumsum(counts)]).astype(int),
        query_bboxes=np.array([q[1] for q in queries], float),
        query_person_ids=np.array([q[2] for q in queries]),
        query_frames=np.array([q[0] for q in queries]),
    )


def make_preds(frames, queries, score=0.9):
    """Build predictions from [(box, embedding), ...] per frame."""
    counts = [len(dets) for dets in frames]
    dets = [det for frame in frames for det in frame]
    dims = len(queries[0])
    return SearchPredictions(
        frame_names=[f'f{i}' for i in range(len(frames))],
        frame_splits=np.concatenate([[0], np.cumsum(counts)]).astype(int),
        bboxes=np.array([d[0] for d in dets], np.float32).reshape(-1, 4),
        scores=np.full(len(dets), score, np.float32),
        embeddings=np.array([d[1] for d in dets], np.float32).reshape(
            -1, dims
        ),
        query_embeddings=np.array(queries, np.float32),
    )


BOX = (100.0, 100.0, 140.0, 200.0)
FAR = (500.0, 100.0, 540.0, 200.0)
LEFT = (10.0, 100.0, 50.0, 200.0)


def test_three_queries_worked_by_hand():
    # Person 0 is in frames 0, 1, 2, 3; person 1 in 0, 3; person 2 in 1, 2.
    truth = make_truth(
        [
            [(BOX, 0), (FAR, 1)],
            [(BOX, 0), (FAR, 2)],
            [(BOX, 0), (FAR, 2), (LEFT, -1)],
            [(BOX, 0), (FAR, 1)],
        ],
        [(0, BOX, 0), (0, FAR, 1), (1, FAR, 2)],
    )
    preds = make_preds(
        [
            [(BOX, (1.0, 0, 0)), (FAR, (0, 1.0, 0))],
            [(BOX, (0.9, 0, 0)), (FAR, (0, 0, 1.0))],
            [(BOX, (0.5, 0, 0.5)), (LEFT, (0.7, 0.6, 0.4))],
            [(BOX, (0.6, 0, 0)), (FAR, (0, 0.5, 0.6))],
        ],
        [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)],
    )
    result = evaluate_search(truth, preds)['regular']
    # Query 0, frames 1..3: .9 right, .7 wrong, .6 right, .5 right, 0, 0.
    # Query 1, frames 1..3: .6 wrong, .5 right.
    # Query 2, frames 0, 2, 3: .6 wrong, .5 wrong (person 0), .4 wrong: the
    # person in frame 2 was not detected.
    np.testing.assert_allclose(result.aps, [(1 + 2 / 3 + 3 / 4) / 3, 1 / 2, 0])
    assert result.first_ranks.tolist() == [0, 1, -1]
    assert result.num_positives.tolist() == [3, 1, 1]
    assert result.num_found.tolist() == [3, 1, 0]
    assert result.metrics() == pytest.approx(
        {
            'mAP': (29 / 36 + 1 / 2) / 3,
            'top-1': 1 / 3,
            'top-5': 2 / 3,
            'top-10': 2 / 3,
        }
    )
    np.testing.assert_allclose(result.cmc(3), [1 / 3, 2 / 3, 2 / 3])


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
@pytest.mark.parametrize('seed', [0, 1])
@pytest.mark.filterwarnings(SKIPPED)
def test_equals_loop(agree, dtype, seed):
    truth = random_ground_truth(seed=seed, num_queries=25)
    preds = noisy_predictions(
        truth, 8, embedding_noise=2.0, dtype=dtype, seed=seed
    )
    assert preds.embeddings.dtype == dtype
    results = evaluate_search(truth, preds, protocols=PROTOCOLS)
    assert list(results) == list(PROTOCOLS)
    for name, result in results.items():
        agree(truth, preds, result, protocol=name)
        assert 0 < result.mean_ap < 1
    # All 25 would be too easy a test if nothing were missed.
    assert results['regular'].num_found.sum() < (
        results['regular'].num_positives.sum()
    )


@pytest.mark.parametrize('det_thr', [0.0, 0.3, 0.5, 0.8, 1.0])
def test_threshold(agree, det_thr):
    truth = random_ground_truth()
    preds = noisy_predictions(truth, 8, false_per_frame=3)
    result = evaluate_search(truth, preds, det_thr)['regular']
    agree(truth, preds, result, det_thr=det_thr)
    assert result.det_thr == det_thr


def test_score_at_threshold_counts():
    truth = make_truth([[(BOX, 0)], [(BOX, 0)]], [(0, BOX, 0)])
    preds = make_preds([[], [(BOX, (1.0,))]], [(1.0,)], score=0.5)
    assert evaluate_search(truth, preds, 0.5)['regular'].mean_ap == 1
    assert evaluate_search(truth, preds, 0.51)['regular'].mean_ap == 0


def test_frame_without_detections_counts_as_positive():
    truth = make_truth([[(BOX, 0)]] * 3, [(0, BOX, 0)])
    preds = make_preds([[], [(BOX, (1.0,))], []], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.metrics() == {
        'mAP': 0.5, 'top-1': 1.0, 'top-5': 1.0, 'top-10': 1.0
    }  # fmt: skip


@pytest.mark.parametrize('num_queries', [1, 3])
def test_no_detection_anywhere(num_queries):
    truth = make_truth([[(BOX, 0)]] * 3, [(0, BOX, 0)] * num_queries)
    preds = make_preds([[], [], []], [(1.0,)] * num_queries)
    result = evaluate_search(truth, preds)['regular']
    assert result.aps.tolist() == [0.0] * num_queries
    assert result.first_ranks.tolist() == [-1] * num_queries
    assert set(result.metrics().values()) == {0.0}


def test_detections_of_own_frame_take_no_part(agree):
    truth = make_truth([[(BOX, 0)], [(BOX, 0)]], [(1, BOX, 0)])
    preds = make_preds(
        [[(BOX, (0.5,))], [(BOX, (1.0,)), (FAR, (0.9,))]], [(1.0,)]
    )
    result = evaluate_search(truth, preds)['regular']
    assert result.mean_ap == 1
    agree(truth, preds, result)


def test_query_nobody_else_shows_stays_in_the_mean():
    truth = make_truth(
        [[(BOX, 0), (FAR, 1)], [(BOX, 0)]], [(0, BOX, 0), (0, FAR, 1)]
    )
    preds = make_preds([[], [(BOX, (1.0,))]], [(1.0,), (1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.aps.tolist() == [1.0, 0.0]
    assert result.num_skipped == 0


def test_ties_form_one_step_and_keep_frame_order(agree):
    truth = make_truth(
        [[(BOX, 0)], [(FAR, 1)], [(BOX, 0)], [(BOX, 0)]], [(0, BOX, 0)]
    )
    tie = (1.0, 0.0)
    preds = make_preds(
        [[], [(FAR, tie)], [(BOX, tie)], [(FAR, tie), (BOX, tie)]], [tie]
    )
    result = evaluate_search(truth, preds)['regular']
    # sklearn: one threshold, precision 2 / 4.
    assert result.aps.tolist() == [0.5]
    # Stable order: f1 (wrong), f2 (right).
    assert result.first_ranks.tolist() == [1]
    agree(truth, preds, result)


def test_most_similar_overlapping_detection_is_right(agree):
    near = tuple(v + 5 for v in BOX)
    truth = make_truth([[(BOX, 0)], [(BOX, 0)]], [(0, BOX, 0)])
    preds = make_preds([[], [(BOX, (0.4,)), (near, (0.8,))]], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.num_found.tolist() == [1]
    assert result.mean_ap == 1
    agree(truth, preds, result)
    # Among equals it is the first stored; the other is a wrong answer.
    preds = make_preds([[], [(BOX, (0.8,)), (near, (0.8,))]], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert (result.mean_ap, result.first_ranks[0]) == (0.5, 0)
    agree(truth, preds, result)


def test_small_boxes_are_forgiven():
    small = (100.0, 100.0, 108.0, 116.0)
    shifted = (102.5, 102.5, 110.5, 118.5)  # IoU 0.41; 128 / 468 is asked
    truth = make_truth([[(small, 0)], [(small, 0)]], [(0, small, 0)])
    preds = make_preds([[], [(shifted, (1.0,))]], [(1.0,)])
    assert evaluate_search(truth, preds)['regular'].mean_ap == 1
    far = (106.0, 100.0, 114.0, 116.0)  # IoU 1 / 7
    preds = make_preds([[], [(far, (1.0,))]], [(1.0,)])
    assert evaluate_search(truth, preds)['regular'].mean_ap == 0


def test_iou_at_the_threshold_counts():
    half = (100.0, 100.0, 140.0, 150.0)
    truth = make_truth([[(BOX, 0)], [(BOX, 0)]], [(0, BOX, 0)])
    preds = make_preds([[], [(half, (1.0,))]], [(1.0,)])
    assert evaluate_search(truth, preds)['regular'].mean_ap == 1


def test_person_twice_in_a_frame_is_one_positive(agree):
    truth = make_truth([[(BOX, 0)], [(BOX, 0), (FAR, 0)]], [(0, BOX, 0)])
    for box in BOX, FAR:
        preds = make_preds([[], [(box, (0.9,)), (LEFT, (0.1,))]], [(1.0,)])
        result = evaluate_search(truth, preds)['regular']
        assert result.num_positives.tolist() == [1]
        assert result.mean_ap == 1
        agree(truth, preds, result)
    preds = make_preds([[], [(BOX, (0.8,)), (FAR, (0.9,))]], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.num_found.tolist() == [1]
    agree(truth, preds, result)


def test_query_without_positive_on_other_cameras_is_skipped(agree):
    truth = make_truth(
        [[(BOX, 0), (FAR, 1)], [(BOX, 0)], [(FAR, 1)]],
        [(0, BOX, 0), (0, FAR, 1)],
        cameras=[1, 2, 1],
    )
    preds = make_preds(
        [[], [(BOX, (1.0,))], [(FAR, (0.5,))]], [(1.0,), (1.0,)]
    )
    with pytest.warns(UserWarning, match='cross-camera: 1 of 2 queries'):
        results = evaluate_search(truth, preds, protocols=PROTOCOLS[:2])
    result = results['cross-camera']
    assert (result.queries.tolist(), result.num_skipped) == ([0], 1)
    assert result.mean_ap == 1
    agree(truth, preds, result, protocol='cross-camera')
    assert results['regular'].aps.tolist() == [1.0, 0.5]


@pytest.mark.filterwarnings(SKIPPED)
def test_protocol_that_leaves_no_query():
    truth = make_truth([[(BOX, 0)]] * 2, [(0, BOX, 0)])
    preds = make_preds([[], [(BOX, (1.0,))]], [(1.0,)])
    result = evaluate_search(truth, preds, protocols=('cross-camera',))
    assert np.isnan(list(result['cross-camera'].metrics().values())).all()
    assert result['cross-camera'].num_skipped == 1


def test_integer_and_float_boxes_agree():
    truth = random_ground_truth()
    whole = dataclasses.replace(truth, bboxes=np.round(truth.bboxes))
    integer = dataclasses.replace(
        truth, bboxes=np.round(truth.bboxes).astype(np.int32)
    )
    preds = noisy_predictions(truth)
    np.testing.assert_array_equal(
        evaluate_search(whole, preds)['regular'].aps,
        evaluate_search(integer, preds)['regular'].aps,
    )


@pytest.mark.parametrize('stranger', [-1, -2, 5555])
def test_strangers_are_never_the_query(agree, stranger):
    truth = make_truth(
        [[(BOX, 0)], [(BOX, stranger)], [(BOX, 0)]], [(0, BOX, 0)]
    )
    preds = make_preds([[], [(BOX, (1.0,))], [(BOX, (0.5,))]], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.num_positives.tolist() == [1]
    assert result.mean_ap == 0.5
    agree(truth, preds, result)


def test_boxes_beyond_the_frame(agree):
    box = (-20.0, -10.0, 30.0, 100.0)
    truth = make_truth([[(box, 0)], [(box, 0)]], [(0, box, 0)])
    preds = make_preds([[], [((0, 0, 30, 100), (1.0,))]], [(1.0,)])
    result = evaluate_search(truth, preds)['regular']
    assert result.mean_ap == 1
    agree(truth, preds, result)


def test_frames_are_matched_by_name(agree):
    truth = random_ground_truth()
    preds = noisy_predictions(truth, 4)
    order = np.random.default_rng(0).permutation(truth.num_frames)
    shuffled = reorder_frames(preds, order)
    result = evaluate_search(truth, preds)['regular']
    other = evaluate_search(truth, shuffled)['regular']
    np.testing.assert_array_equal(result.aps, other.aps)
    np.testing.assert_array_equal(result.first_ranks, other.first_ranks)
    agree(truth, shuffled, other)


def lists(entries, queries=None, rest=False):
    """Build a gallery from [(frame, box or None), ...] per query."""
    flat = [entry for query in entries for entry in query]
    return GallerySet(
        splits=np.concatenate([[0], np.cumsum([len(e) for e in entries])]),
        frames=np.array([frame for frame, _ in flat]),
        bboxes=np.array([box or (np.nan,) * 4 for _, box in flat]),
        queries=queries,
        rest_of_frames=rest,
    )


@pytest.fixture
def listed():
    truth = make_truth(
        [[(BOX, 0), (FAR, 1)], [(BOX, 0), (FAR, 0)], [(FAR, 1)], []],
        [(0, BOX, 0), (0, FAR, 1)],
    )
    preds = make_preds(
        [
            [(BOX, (1.0, 0.2)), (FAR, (0.3, 0.9))],
            [(BOX, (0.7, 0.1)), (FAR, (0.8, 0.4))],
            [(FAR, (0.75, 0.6)), (LEFT, (0.1, 0.7))],
            [(LEFT, (0.72, 0.65))],
        ],
        [(1.0, 0.0), (0.0, 1.0)],
    )
    return truth, preds


def test_frame_listed_twice(agree, listed):
    truth, preds = listed
    # Searched once and for the first entry's box; both entries count.
    truth.galleries['twice'] = lists(
        [[(1, BOX), (2, None), (1, FAR)], [(2, None), (2, FAR), (3, None)]]
    )
    result = evaluate_search(truth, preds)['twice']
    # Query 0: .8 wrong, .75 wrong, .7 right: 1/3, recall 1/2.
    np.testing.assert_allclose(result.aps, [1 / 6, 0])
    assert result.num_positives.tolist() == [2, 1]
    assert result.first_ranks.tolist() == [2, -1]
    agree(truth, preds, result, gallery='twice')


def test_own_frame_in_the_gallery_is_kept(agree, listed):
    truth, preds = listed
    truth.galleries['own'] = lists([[(0, BOX), (2, None)], [(2, FAR)]])
    result = evaluate_search(truth, preds)['own']
    np.testing.assert_allclose(result.aps, [1, 1 / 2])
    agree(truth, preds, result, gallery='own')


@pytest.mark.parametrize('own', [True, False])
def test_rest_of_frames(agree, listed, own):
    truth, preds = listed
    first = [(1, FAR)] + ([(0, BOX)] if own else [])
    truth.galleries['full'] = lists([first, [(2, FAR)]], rest=True)
    result = evaluate_search(truth, preds)['full']
    # .8 right before anything wrong, whether or not frame 0 takes part.
    np.testing.assert_allclose(result.aps[0], 1.0)
    np.testing.assert_allclose(result.aps[1], 1 / 3)
    assert result.num_positives.tolist() == [1 + own, 1]
    agree(truth, preds, result, gallery='full')


def test_subset_of_queries_in_any_order(agree, listed):
    truth, preds = listed
    truth.galleries['subset'] = lists([[(2, FAR), (3, None)]], queries=[1])
    truth.galleries['turned'] = lists(
        [[(2, FAR), (3, None)], [(1, BOX)]], queries=[1, 0]
    )
    results = evaluate_search(truth, preds)
    assert results['subset'].queries.tolist() == [1]
    np.testing.assert_allclose(results['turned'].aps, [0.5, 1 / 3])
    for name, result in results.items():
        agree(truth, preds, result, gallery=name)


def test_empty_gallery_and_gallery_without_positive(agree, listed):
    truth, preds = listed
    truth.galleries['odd'] = lists([[], [(3, None)]])
    result = evaluate_search(truth, preds)['odd']
    assert result.aps.tolist() == [0.0, 0.0]
    agree(truth, preds, result, gallery='odd')


@pytest.mark.filterwarnings(SKIPPED)
@pytest.mark.parametrize('seed', range(3))
def test_random_galleries_equal_loop(agree, seed):
    rng = np.random.default_rng(seed)
    truth = random_ground_truth(60, num_queries=20, seed=seed)
    for size in 5, 20, 50:
        truth.galleries[str(size)] = sample_gallery(truth, size, seed=seed)
    # Frames twice, own frames, positives before and after their repeat.
    counts = rng.integers(0, 30, 12)
    frames = rng.integers(0, truth.num_frames, counts.sum())
    boxes = np.full((len(frames), 4), np.nan)
    shown = rng.random(len(frames)) < 0.4
    boxes[shown] = truth.bboxes[rng.integers(0, 100, shown.sum())]
    truth.galleries['wild'] = GallerySet(
        np.concatenate([[0], np.cumsum(counts)]),
        frames,
        boxes,
        rng.permutation(20)[:12],
    )
    preds = noisy_predictions(truth, 8, embedding_noise=2, seed=seed)
    results = evaluate_search(truth, preds, protocols=PROTOCOLS[:2])
    assert len(results) == 8
    for name, result in results.items():
        gallery, _, camera = name.partition('_')
        agree(
            truth,
            preds,
            result,
            gallery=gallery,
            protocol=camera or 'regular',
        )


def test_choice_of_galleries():
    truth = random_ground_truth(40)
    for size in 5, 10:
        truth.galleries[str(size)] = sample_gallery(truth, size)
    preds = noisy_predictions(truth)
    assert list(evaluate_search(truth, preds, galleries=['10'])) == ['10']
    with pytest.raises(ValueError, match="gallery '7'.*are 5, 10"):
        evaluate_search(truth, preds, galleries=['7'])
    truth.galleries.clear()
    with pytest.raises(ValueError, match='every other frame'):
        evaluate_search(truth, preds, galleries=['100'])


def test_unknown_protocol_and_cameras():
    truth = random_ground_truth()
    preds = noisy_predictions(truth)
    with pytest.raises(ValueError, match="protocol 'multi': expected one"):
        evaluate_search(truth, preds, protocols=('multi',))
    with pytest.raises(ValueError, match='protocols: expected one or more'):
        evaluate_search(truth, preds, protocols=())
    truth.camera_ids[3] = -1
    with pytest.raises(ValueError, match='needs the camera of every frame'):
        evaluate_search(truth, preds, protocols=('same-camera',))


def test_chunks_do_not_matter(monkeypatch):
    truth = random_ground_truth(num_queries=30)
    truth.galleries['10'] = sample_gallery(truth, 10)
    preds = noisy_predictions(truth)
    whole = evaluate_search(truth, preds)['10']
    for size in 1, 300, 1000:
        monkeypatch.setattr(
            'mmps.evaluation.functional.search_evaluation._CHUNK_SIZE', size
        )
        parts = evaluate_search(truth, preds)['10']
        np.testing.assert_array_equal(parts.aps, whole.aps)
        np.testing.assert_array_equal(parts.first_ranks, whole.first_ranks)


# Few directions: most similarities tie.
problems = st.builds(
    lambda seed, frames, people, dims, levels, false: (
        seed,
        random_ground_truth(frames, 3, 2, 4, people, labelled=0.9, seed=seed),
        dims,
        levels,
        false,
    ),
    seed=st.integers(0, 2**16),
    frames=st.integers(8, 20),
    people=st.sampled_from([2.0, 3.0, 5.0]),
    dims=st.integers(1, 4),
    levels=st.sampled_from([1, 2, 1000]),
    false=st.sampled_from([0.0, 2.0]),
)


def coarse_predictions(problem):
    seed, truth, dims, levels, false = problem
    preds = noisy_predictions(
        truth, dims, found=0.8, false_per_frame=false, seed=seed
    )
    for name in 'embeddings', 'query_embeddings':
        rough = np.round(getattr(preds, name) * levels) / levels
        setattr(preds, name, rough)
    return truth, preds


@pytest.mark.filterwarnings(SKIPPED)
@settings(max_examples=40, derandomize=True, deadline=None)
@given(problem=problems)
def test_property_equals_loop(agree, problem):
    truth, preds = coarse_predictions(problem)
    for name, result in evaluate_search(
        truth, preds, protocols=PROTOCOLS
    ).items():
        agree(truth, preds, result, protocol=name)
        assert (result.aps >= 0).all()
        assert (result.aps <= 1).all()
        assert (np.diff(result.cmc(10)) >= 0).all() or not len(result.aps)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(problem=problems, scale=st.sampled_from([2.0**-6, 0.5, 64.0]))
def test_property_scale_of_similarity(problem, scale):
    truth, preds = coarse_predictions(problem)
    scaled = dataclasses.replace(preds, embeddings=preds.embeddings * scale)
    result = evaluate_search(truth, preds)['regular']
    other = evaluate_search(truth, scaled)['regular']
    np.testing.assert_array_equal(result.aps, other.aps)
    np.testing.assert_array_equal(result.first_ranks, other.first_ranks)


@settings(max_examples=20, derandomize=True, deadline=None)
@given(problem=problems, shuffle=st.randoms(use_true_random=False))
def test_property_order_of_frames_and_detections(problem, shuffle):
    # AP treats equal values as one step, so no order of the data set's
    # frames or of a frame's detections changes it. (A tie between two
    # detections of one person would pick another one of equal rank.)
    truth, preds = coarse_predictions(problem)
    order = list(range(truth.num_frames))
    shuffle.shuffle(order)
    turned = reorder_truth(truth, np.array(order))
    rows = np.arange(len(preds.scores))
    for begin, end in zip(preds.frame_splits[:-1], preds.frame_splits[1:]):
        part = rows[begin:end].tolist()
        shuffle.shuffle(part)
        rows[begin:end] = part
    mixed = dataclasses.replace(
        preds,
        bboxes=preds.bboxes[rows],
        scores=preds.scores[rows],
        embeddings=preds.embeddings[rows],
    )
    np.testing.assert_allclose(
        evaluate_search(turned, mixed)['regular'].aps,
        evaluate_search(truth, preds)['regular'].aps,
        atol=1e-12,
    )


def reorder_truth(truth, order):
    counts = np.diff(truth.frame_splits)
    rows = np.concatenate(
        [np.arange(*truth.frame_splits[i : i + 2]) for i in order]
    ).astype(int)
    return SearchGroundTruth(
        [truth.frame_names[i] for i in order],
        truth.camera_ids[order],
        truth.bboxes[rows],
        truth.person_ids[rows],
        np.concatenate([[0], np.cumsum(counts[order])]),
        truth.query_bboxes,
        truth.query_person_ids,
        np.argsort(order)[truth.query_frames],
    )


@settings(max_examples=10, derandomize=True, deadline=None)
@given(problem=problems)
def test_property_perfect_ranking(problem):
    _, truth, *_ = problem
    people = np.maximum(truth.person_ids, -1)
    one_hot = np.eye(5, dtype=np.float32)
    preds = SearchPredictions(
        truth.frame_names,
        truth.frame_splits,
        truth.bboxes,
        np.ones(len(people), np.float32),
        one_hot[people],
        one_hot[truth.query_person_ids],
    )
    result = evaluate_search(truth, preds)['regular']
    wanted = (result.num_positives > 0).astype(float)
    np.testing.assert_array_equal(result.aps, wanted)
    np.testing.assert_array_equal(result.first_ranks, wanted - 1)


@settings(max_examples=10, derandomize=True, deadline=None)
@given(problem=problems)
def test_property_doubled_detections(agree, problem):
    # Each detection twice: the copy ties with the right answer and is wrong.
    truth, preds = coarse_predictions(problem)
    doubled = SearchPredictions(
        preds.frame_names,
        preds.frame_splits * 2,
        np.repeat(preds.bboxes, 2, axis=0),
        np.repeat(preds.scores, 2),
        np.repeat(preds.embeddings, 2, axis=0),
        preds.query_embeddings,
    )
    result = evaluate_search(truth, doubled)['regular']
    agree(truth, doubled, result)
    np.testing.assert_allclose(
        result.aps * 2,
        evaluate_search(truth, preds)['regular'].aps,
        atol=1e-12,
    )

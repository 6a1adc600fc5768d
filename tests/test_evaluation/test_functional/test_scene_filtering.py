"""The gallery filter in an evaluation, against one query after another."""

from dataclasses import replace

import numpy as np
import pytest
from scene_problems import with_scenes

from mmps.evaluation.functional import (
    ContextMatching,
    SceneFilter,
    SceneFiltering,
    SearchProblem,
    SearchSettings,
    build_tasks,
    describe_protocol,
    evaluate_search,
    format_results,
    format_thresholds,
    rank_list,
    results_to_dict,
    sample_gallery,
    scene_thresholds,
)
from mmps.structures import (
    SearchPredictions,
    frame_of_rows,
    hash_predictions,
    scene_scores,
)
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames


@pytest.fixture
def truth():
    return random_ground_truth(40, num_queries=12)


@pytest.fixture
def preds(truth):
    return with_scenes(noisy_predictions(truth, 8, embedding_noise=2), truth)


def of_one_query(truth, preds, query, scores, thr):
    """Truth and predictions that say the same of one query, without scenes."""
    frames = frame_of_rows(preds.frame_splits)
    sims = preds.embeddings.astype(np.float64) @ preds.query_embeddings[query]
    one = SearchPredictions(
        preds.frame_names,
        preds.frame_splits,
        preds.bboxes,
        preds.scores,
        (sims.astype(np.float32) * scores[query, frames])[:, None],
        np.ones((1, 1), np.float32),
    )
    galleries = {}
    for name, gallery in truth.galleries.items():
        row = int(np.flatnonzero(gallery.queries == query)[0])
        part = slice(*gallery.splits[row : row + 2])
        galleries[name] = replace(
            gallery,
            splits=np.array([0, part.stop - part.start]),
            frames=gallery.frames[part],
            bboxes=gallery.bboxes[part],
            queries=None,
        )
    own = replace(
        truth,
        query_bboxes=truth.query_bboxes[query][None],
        query_person_ids=truth.query_person_ids[query][None],
        query_frames=truth.query_frames[query][None],
        galleries=galleries,
    )
    return own, one.select(scores[query, frames] >= thr)


@pytest.mark.parametrize('thr', [0.0, 0.45, 0.55])
@pytest.mark.parametrize('listed', [False, True])
def test_equals_searches_of_single_queries(truth, preds, thr, listed):
    if listed:
        truth.galleries['20'] = sample_gallery(truth, 20)
    scores = SceneFilter(preds, SceneFiltering()).scores(
        np.arange(truth.num_queries)
    )
    np.testing.assert_allclose(
        scores,
        scene_scores(preds.query_scene_filters, preds.scene_embeddings),
        atol=1e-7,
    )
    (found,) = evaluate_search(
        truth, preds, scenes=SceneFiltering(thr)
    ).values()
    frames = lost = skipped = held = 0
    (task,) = build_tasks(truth)
    for i, query in enumerate(found.queries):
        (want,) = evaluate_search(
            *of_one_query(truth, preds, query, scores, thr)
        ).values()
        assert found.aps[i] == pytest.approx(want.aps[0], abs=1e-12)
        assert found.first_ranks[i] == want.first_ranks[0]
        assert found.num_found[i] == want.num_found[0]
        inside = np.flatnonzero(task.in_gallery[i])
        out = scores[query, inside] < thr
        there = np.isin(inside, task.frames[task.rows == i])
        frames, skipped = frames + len(inside), skipped + out.sum()
        held, lost = held + there.sum(), lost + (out & there).sum()
    assert found.scene_thr == thr
    assert found.skipped_frames == pytest.approx(skipped / frames)
    assert found.lost_frames == pytest.approx(lost / held)
    assert (found.skipped_frames > 0) == (thr > 0)
    # And the rank lists of the tools show the same.
    problem = SearchProblem(truth, preds, scenes=SceneFiltering(thr))
    for i, query in enumerate(found.queries):
        ranks = rank_list(problem, task, int(query), 10_000)
        assert (scores[query, ranks.frames] >= thr).all()
        assert ranks.right.sum() == found.num_found[i]


def test_without_a_filter_nothing_changes(truth, preds):
    plain = replace(preds, scene_embeddings=None, query_scene_filters=None)
    (one,), (other,) = (
        evaluate_search(truth, p).values() for p in (preds, plain)
    )
    assert one.aps.tolist() == other.aps.tolist()
    assert (one.scene_thr, one.skipped_frames) == (None, 0)
    results = {'regular': one}
    assert 'scene_thr' not in describe_protocol(results)
    assert 'scene_filter' not in results_to_dict(results)
    assert 'frames' not in format_results(results)
    with pytest.raises(ValueError, match='no scene_embeddings; expected'):
        evaluate_search(truth, plain, scenes=SceneFiltering())
    assert hash_predictions(preds) != hash_predictions(plain)


def test_goes_with_matching_by_context(truth, preds):
    cbgm = ContextMatching(10, 3)
    weighted, plain = (
        SearchProblem(truth, preds, cbgm=cbgm, scenes=scenes)
        for scenes in (SceneFiltering(), None)
    )
    (task,) = build_tasks(truth)
    rows = slice(0, 4)
    sims = plain.similarities(np.arange(4))
    scores = SceneFilter(preds, SceneFiltering()).scores(np.arange(4))
    np.testing.assert_array_equal(
        weighted.task_similarities(sims, task, rows),
        plain.task_similarities(sims, task, rows)
        * scores[:, plain.det_frames],
    )


def test_scenes_travel_with_their_frames(tmp_path, truth, preds):
    order = np.random.default_rng(1).permutation(truth.num_frames)
    reorder_frames(preds, order).save(tmp_path / 'a.npz')
    stored = SearchPredictions.load(tmp_path / 'a.npz')
    back = stored.align(truth)
    for name in ('scene_embeddings', 'query_scene_filters'):
        np.testing.assert_array_equal(
            getattr(back, name), getattr(preds, name)
        )
    kept = preds.select(preds.scores > 0.5)
    assert kept.scene_embeddings is preds.scene_embeddings
    scenes = SceneFiltering(0.45)
    (one,), (other,) = (
        evaluate_search(truth, p, scenes=scenes).values()
        for p in (preds, stored)
    )
    assert one.aps.tolist() == other.aps.tolist()
    plain = replace(preds, scene_embeddings=None, query_scene_filters=None)
    plain.save(tmp_path / 'b.npz')
    assert not SearchPredictions.load(tmp_path / 'b.npz').has_scenes


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(scene_embeddings=None), 'expected both or none'),
        (dict(scene_embeddings=np.ones((3, 6))), 'scene_embeddings: expected'),
        (dict(query_scene_filters=np.ones((12, 2, 6))), 'query_scene_filters'),
        (
            dict(query_scene_filters=np.full((12, 3, 6), np.nan)),
            'query_scene_filters: .* not finite',
        ),
    ],
)
def test_fields_are_checked(preds, change, message):
    with pytest.raises(ValueError, match=message):
        replace(preds, **change)


def test_thresholds_skip_what_they_should(truth, preds):
    settings = SearchSettings(scene_filter=dict(thr=0.3))
    found = scene_thresholds(truth, preds, settings, (0, 0.25, 0.5))
    assert [row.thr for row in found] == sorted(row.thr for row in found)
    assert found[0][:3] == (0, 0, 0)
    for row, share in zip(found[1:], (0.25, 0.5)):
        # Of all pairs; a query's own frame is in no gallery.
        assert row.skipped == pytest.approx(share, abs=0.05)
        assert row.lost < row.skipped
        (want,) = evaluate_search(
            truth, preds, scenes=SceneFiltering(row.thr)
        ).values()
        assert (row.mean_ap, row.top1) == (want.mean_ap, want.top(1))
    table = format_thresholds(found)
    assert f'{100 * found[1].mean_ap:9.2f}' in table


def test_settings():
    assert not SearchSettings().scene_filter
    assert SearchSettings(scene_filter=True).scene_filter == SceneFiltering()
    given = SearchSettings(scene_filter=dict(thr=0.4)).scene_filter
    assert given == SceneFiltering(0.4)
    with pytest.raises(ValueError, match='scene_filter: thr is 2'):
        SearchSettings(scene_filter=dict(thr=2))


def test_reports_say_what_was_skipped(truth, preds):
    found = evaluate_search(truth, preds, scenes=SceneFiltering(0.45))
    (result,) = found.values()
    assert describe_protocol(found)['scene_thr'] == 0.45
    assert results_to_dict(found)['scene_filter'] == dict(
        thr=0.45,
        skipped_frames=result.skipped_frames,
        lost_frames=result.lost_frames,
    )
    assert 'those below 0.45 not searched' in format_results(found)
    whole = evaluate_search(truth, preds, scenes=SceneFiltering())
    assert 'times the scores of frames' in format_results(whole)

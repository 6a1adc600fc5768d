"""Tests of tables and JSON values."""

import json
import warnings

import pytest

from mmps.evaluation.functional import (
    ContextMatching,
    evaluate_detection,
    evaluate_search,
    format_results,
    main_result,
    results_to_dict,
    sample_gallery,
)
from mmps.testing import noisy_predictions, random_ground_truth


@pytest.fixture
def truth():
    return random_ground_truth(60, num_cameras=2)


def test_dict_of_one_result(truth):
    preds = noisy_predictions(truth, 8)
    results = evaluate_search(truth, preds, det_thr=0.4)
    detection = evaluate_detection(truth, preds)
    out = results_to_dict(results, detection)
    assert json.loads(json.dumps(out)) == out
    regular = results['regular']
    figures = {k: out[k] for k in ('mAP', 'top-1', 'top-5', 'top-10')}
    assert figures == regular.metrics()
    assert out['results']['regular'] == figures | {
        'num_queries': 10,
        'num_skipped': 0,
        'num_positives': int(regular.num_positives.sum()),
        'num_found': int(regular.num_found.sum()),
    }
    assert (out['main'], out['det_thr'], out['cbgm']) == ('regular', 0.4, None)
    assert out['detection'] == {
        'score_thr': 0.01,
        'recall': detection.recall,
        'AP': detection.ap,
        'labelled_recall': detection.labelled_recall,
        'labelled_AP': detection.labelled_ap,
    }


def test_gallery_of_100_is_the_main_one(truth):
    preds = noisy_predictions(truth, 8)
    for size in '50', '100':
        truth.galleries[size] = sample_gallery(truth, int(size))
    results = evaluate_search(truth, preds)
    assert main_result(results).name == '100'
    out = results_to_dict(results, cbgm=ContextMatching(10, 3))
    assert out['mAP'] == out['results']['100']['mAP']
    assert out['cbgm'] == {'k1': 10, 'k2': 3}
    assert 'detection' not in out
    del results['100']
    assert main_result(results).name == '50'


def test_table_shows_figures_and_thresholds(truth):
    preds = noisy_predictions(truth, 8)
    results = evaluate_search(
        truth, preds, protocols=('regular', 'cross-camera')
    )
    detection = evaluate_detection(truth, preds)
    cbgm = ContextMatching(30, 4)
    lines = format_results(results, detection, cbgm).splitlines()
    assert lines[0].split() == [
        'search', 'mAP', 'top-1', 'top-5', 'top-10', 'queries', 'skipped'
    ]  # fmt: skip
    cross = results['cross-camera']
    assert lines[2].split() == [
        'cross-camera',
        *(f'{100 * value:.2f}' for value in cross.metrics().values()),
        '10',
        '0',
    ]
    assert lines[4].split() == [
        'all', f'{100 * detection.recall:.2f}', f'{100 * detection.ap:.2f}'
    ]  # fmt: skip
    assert lines[-1] == (
        'in per cent; search: detection score >= 0.5; CBGM k1=30 k2=4; '
        'detection: score >= 0.01'
    )


def test_mean_over_nothing_is_null(truth):
    truth.camera_ids[:] = 0
    preds = noisy_predictions(truth, 8)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        results = evaluate_search(truth, preds, protocols=('cross-camera',))
    out = results_to_dict(results)
    assert out['mAP'] is None
    assert out['results']['cross-camera']['num_skipped'] == 10
    assert 'nan' in format_results(results)

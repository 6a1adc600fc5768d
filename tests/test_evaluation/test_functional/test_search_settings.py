"""Tests of SearchSettings: values, refusals, evaluation."""

from dataclasses import replace

import numpy as np
import pytest

from mmps.evaluation.functional import (
    ContextMatching,
    SearchSettings,
    evaluate_search,
    sample_gallery,
)
from mmps.testing import noisy_predictions, random_ground_truth


def test_equal_however_they_are_written():
    written = SearchSettings(
        protocols=['regular', 'cross-camera'],
        gallery_sizes=[50, 'occlusion'],
        cbgm=dict(k1=7, k2=2),
    )
    assert written == SearchSettings(
        protocols=('regular', 'cross-camera'),
        gallery_sizes=('50', 'occlusion'),
        cbgm=ContextMatching(7, 2),
    )
    assert replace(written, det_thr=0.1).gallery_sizes == ('50', 'occlusion')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(det_thr=1.5), 'det_thr is 1.5, expected 0 to 1'),
        (dict(score_thr=float('nan')), 'score_thr is nan, expected 0 to 1'),
        (dict(protocols='regular'), "protocols is 'regular', expected a li"),
        (dict(protocols=()), 'expected a list out of'),
        (dict(protocols=['multi']), "protocols is .'multi'., expected a l"),
        (dict(gallery_sizes='50'), "gallery_sizes is '50', expected a list"),
        (dict(cbgm=dict(k1=0, k2=3)), 'k1 and k2 must be 1 or more'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        SearchSettings(**options)


def test_usual_context_of_the_data_set():
    truth = random_ground_truth()
    assert SearchSettings().matching(truth) is None
    settings = SearchSettings(cbgm=True)
    assert settings.matching(truth) == ContextMatching(30, 4)
    truth.galleries['5'] = sample_gallery(truth, 5)
    assert settings.matching(truth) == ContextMatching(10, 3)


def test_evaluates_with_all_of_them():
    truth = random_ground_truth()
    truth.galleries.update(
        {name: sample_gallery(truth, int(name)) for name in ('5', '9')}
    )
    preds = noisy_predictions(truth)
    settings = SearchSettings(
        det_thr=0.3,
        protocols=['same-camera'],
        gallery_sizes=[9],
        cbgm=dict(k1=3, k2=2),
    )
    got = settings.evaluate(truth, preds)
    want = evaluate_search(
        truth, preds, 0.3, ('same-camera',), ('9',), ContextMatching(3, 2)
    )
    assert list(got) == list(want) == ['9_same-camera']
    np.testing.assert_array_equal(
        got['9_same-camera'].aps, want['9_same-camera'].aps
    )

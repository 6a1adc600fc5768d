"""Tests of the described protocol: it is the one that was used."""

import json

import pytest

from mmps.evaluation.functional import (
    ContextMatching,
    describe_protocol,
    evaluate_search,
    sample_gallery,
)
from mmps.testing import noisy_predictions, random_ground_truth


@pytest.fixture
def truth():
    return random_ground_truth(130, num_queries=6)


def described(truth, score_thr=0.01, **options):
    results = evaluate_search(truth, noisy_predictions(truth, 8), **options)
    found = describe_protocol(results, score_thr, options.get('cbgm'))
    assert json.loads(json.dumps(found)) == found
    return found


def test_without_galleries(truth):
    found = described(truth)
    assert (found['main'], found['evaluated']) == ('regular', ['regular'])
    assert (found['det_thr'], found['score_thr']) == (0.5, 0.01)
    assert found['cbgm'] is None


def test_main_is_the_gallery_of_100_and_not_the_first(truth):
    for size in (10, 100):
        truth.galleries[str(size)] = sample_gallery(truth, size)
    protocols = ('regular', 'cross-camera')
    found = described(truth, protocols=protocols)
    assert found['main'] == '100'
    assert found['evaluated'] == [
        '10', '10_cross-camera', '100', '100_cross-camera',
    ]  # fmt: skip
    assert described(truth, galleries=['10'])['main'] == '10'


def test_every_option_is_seen(truth):
    usual = described(truth)
    changes = [
        (dict(det_thr=0.6), {'det_thr': 0.6}),
        (dict(score_thr=0.2), {'score_thr': 0.2}),
        (
            dict(protocols=['cross-camera']),
            {'main': 'cross-camera', 'evaluated': ['cross-camera']},
        ),
        (
            dict(cbgm=ContextMatching(5, 2, 0.3)),
            {'cbgm': dict(k1=5, k2=2, same_person_iou=0.3)},
        ),
    ]
    for options, wanted in changes:
        assert described(truth, **options) == usual | wanted

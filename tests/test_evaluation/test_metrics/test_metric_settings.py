"""Tests of the settings that are taken from a config."""

import pytest
from mmengine.config import Config

from mmps.evaluation.functional import (
    ContextMatching,
    SearchSettings,
    sample_gallery,
)
from mmps.evaluation.metrics import PersonSearchMetric
from mmps.evaluation.metrics.metric_settings import settings_of
from mmps.testing import random_ground_truth

METRIC = dict(
    type='mmps.PersonSearchMetric',
    det_thr=0.3,
    protocols=['cross-camera'],
    gallery_sizes=[50, 'occlusion'],
    cbgm=dict(k1=7, k2=2),
    outfile='preds.npz',
)


@pytest.mark.parametrize(
    'evaluator',
    [
        METRIC,
        [dict(type='CocoMetric', ann_file='x.json'), METRIC],
        dict(type='Evaluator', metrics=[METRIC]),
        dict(type='Evaluator', metrics=METRIC),
        {**METRIC, 'type': PersonSearchMetric},
    ],
)
def test_settings_of_the_metric(evaluator):
    cfg = Config({'test_evaluator': evaluator}, format_python_code=False)
    settings = settings_of(cfg)
    assert (settings.det_thr, settings.score_thr) == (0.3, 0.01)
    assert list(settings.protocols) == ['cross-camera']
    assert settings.gallery_sizes == ('50', 'occlusion')
    truth = random_ground_truth()
    assert settings.matching(truth) == ContextMatching(7, 2)


@pytest.mark.parametrize(
    'content', [{}, {'test_evaluator': dict(type='CocoMetric')}]
)
def test_defaults_without_the_metric(content):
    settings = settings_of(Config(content))
    assert settings == SearchSettings()
    assert settings.gallery_sizes is None
    assert settings.matching(random_ground_truth()) is None


def test_usual_context_of_the_data_set():
    settings = SearchSettings(cbgm=True)
    truth = random_ground_truth()
    assert settings.matching(truth) == ContextMatching(30, 4)
    truth.galleries['5'] = sample_gallery(truth, 5)
    assert settings.matching(truth) == ContextMatching(10, 3)


def test_bad_settings_in_a_config():
    evaluator = dict(type='mmps.PersonSearchMetric', det_thr=2)
    with pytest.raises(ValueError, match='score_thr <= det_thr <= 1'):
        settings_of(Config({'test_evaluator': evaluator}))

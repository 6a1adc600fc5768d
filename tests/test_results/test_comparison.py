"""Tests of the comparison of two test runs."""

from copy import deepcopy

import pytest

from mmps.results.comparison import (
    DIFFERENT,
    NOT_COMPARABLE,
    SAME,
    Difference,
    compare_results,
    flatten,
    in_words,
)


@pytest.fixture
def results():
    return dict(
        figures={'person_search/mAP': 0.5, 'person_search/top-1': 0.75},
        protocol=dict(
            main='100',
            evaluated=['50', '100'],
            det_thr=0.5,
            cbgm=None,
            gallery_boxes='detected',
        ),
        inference=dict(test_cfg=dict(nms=dict(iou_threshold=0.4)), fp16=False),
        config=dict(
            name='a.py', sha256='c0', content=dict(model=dict(depth=[50, 1]))
        ),
        weights=dict(sha256='w0', iter=900),
        predictions='p0',
        data=dict(
            name='PRW', split='test', counts=dict(frames=6112), sha256='d0'
        ),
        seed=dict(training=0, test=None),
        device='CPU (AVX2)',
        versions=dict(mmps='0.1.0', torch='2.13'),
    )


@pytest.fixture
def other(results):
    return deepcopy(results)


def test_the_same_run_twice(results, other):
    found = compare_results(results, other)
    assert found.status == SAME
    assert found.verdict == (
        'same figures: protocol, data, inference, config, weights, '
        'predictions, seed, device and versions are the same too'
    )
    assert not any(found.parts.values())


def test_other_weights(results, other):
    other['weights'] = dict(sha256='w1', iter=900)
    other['predictions'] = None  # this run did not store them
    other['figures']['person_search/mAP'] = 0.5000000000000001
    found = compare_results(results, other)
    assert found.status == DIFFERENT
    assert found.verdict == (
        'figures differ: same protocol and data, other weights'
    )
    assert found.parts['weights'] == [Difference('sha256', 'w0', 'w1')]
    assert 'predictions' not in found.parts
    assert found.figures[0] == Difference(
        'person_search/mAP', 0.5, 0.5000000000000001
    )


def test_nothing_explains_the_difference(results, other):
    other['figures']['person_search/top-1'] = 0.7
    found = compare_results(results, other)
    assert found.status == DIFFERENT
    assert found.verdict.startswith('figures differ: although protocol, data')
    assert found.verdict.endswith('versions are the same')


def test_what_a_run_does_not_know_explains_nothing(results, other):
    for part in ('weights', 'seed', 'device'):
        other[part] = None
    other['versions']['torch'] = '2.14'
    for one, two in ((results, other), (other, results)):
        found = compare_results(one, two)
        assert found.verdict == (
            'same figures: same protocol and data, other versions'
        )
        assert not {'weights', 'seed', 'device'} & set(found.parts)


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (dict(main='50'), 'galleries of 100 and 50 frames'),
        (dict(main='occlusion'), 'main is 100 and occlusion'),
        (dict(det_thr=0.2), 'det_thr is 0.5 and 0.2'),
        (
            dict(cbgm=dict(k1=30, k2=4)),
            'cbgm is not set and k1=30 k2=4',
        ),
        (
            dict(gallery_boxes='annotated'),
            'gallery_boxes is detected and annotated',
        ),
        (
            dict(det_thr=0.2, main='50'),
            'galleries of 100 and 50 frames; det_thr is 0.5 and 0.2',
        ),
    ],
)
def test_another_protocol_is_not_comparable(results, other, change, reason):
    other['protocol'] |= change
    found = compare_results(results, other)
    assert found.status == NOT_COMPARABLE
    assert found.verdict == f'not comparable: {reason}'


def test_further_galleries_do_not_matter(results, other):
    other['protocol']['evaluated'] = ['50', '100', '4000']
    other['figures']['person_search/mAP_gallery4000'] = 0.3
    found = compare_results(results, other)
    assert found.status == SAME
    assert found.verdict.startswith('same figures among those that both have')
    name = 'person_search/mAP_gallery4000'
    assert found.figures[-1] == Difference(name, None, 0.3)
    assert [d.name for d in found.parts['protocol']] == ['evaluated']


def test_other_annotations_are_not_comparable(results, other):
    other['data'] |= dict(sha256='d1', counts=dict(frames=200))
    found = compare_results(results, other)
    assert found.status == NOT_COMPARABLE
    assert found.verdict == (
        'not comparable: the annotations differ (PRW test)'
    )
    assert Difference('counts.frames', 6112, 200) in found.parts['data']
    other['data']['name'] = 'COCO'
    found = compare_results(results, other)
    assert '(PRW test and COCO test)' in found.verdict


def test_the_same_annotations_in_another_form(results, other):
    """Read from the data set's own files, and from COCO JSON."""
    other['data']['name'] = 'COCO'
    found = compare_results(results, other)
    assert (found.status, found.parts['data']) == (SAME, [])


def test_settings_of_the_config_by_name(results, other):
    other['config'] = dict(
        name='b.py', sha256='c1', content=dict(model=dict(depth=[50, 2, 3]))
    )
    other['inference']['test_cfg']['nms'] = {}
    found = compare_results(results, other)
    assert found.verdict.endswith('other inference and config')
    assert found.parts['config'] == [
        Difference('model.depth[1]', 1, 2),
        Difference('model.depth[2]', None, 3),
    ]
    assert found.parts['inference'] == [
        Difference('test_cfg.nms.iou_threshold', 0.4, None),
        Difference('test_cfg.nms', None, {}),
    ]


def test_a_config_of_another_name_is_the_same(results, other):
    other['config']['name'] = 'b.py'
    assert compare_results(results, other).parts['config'] == []


def test_nothing_in_common(results, other):
    other['figures'] = {'coco/bbox_mAP': 0.5}
    found = compare_results(results, other)
    assert found.status == NOT_COMPARABLE
    assert found.verdict == 'not comparable: no figure is in both'


def test_means_over_nothing_are_the_same(results, other):
    for side in (results, other):
        side['figures']['person_search/mAP'] = None
    assert compare_results(results, other).status == SAME
    other['figures']['person_search/mAP'] = 0.0
    assert compare_results(results, other).status == DIFFERENT


def test_another_metric_has_no_protocol(results, other):
    results['protocol'] = results['data'] = None
    other['protocol'] = other['data'] = None
    other['weights']['sha256'] = 'w1'
    found = compare_results(results, other)
    assert (found.status, found.verdict) == (
        SAME,
        'same figures: other weights',
    )


def test_flatten():
    nested = {'a': {'b': [1, {'c': None}], 'd': []}, 'e': {}}
    assert flatten(nested) == {
        'a.b[0]': 1,
        'a.b[1].c': None,
        'a.d': [],
        'e': {},
    }
    assert flatten('x') == {'': 'x'}


def test_in_words():
    assert in_words(['50', '100']) == '50 100'
    assert in_words(None) == 'not set'
    assert in_words(False) == 'False'

"""Tests of the hashes of test sets: what changes them, and what must not."""

from copy import deepcopy

import numpy as np
import pytest

from mmps.evaluation.functional import sample_gallery
from mmps.structures import SearchGroundTruth, fingerprint, hash_predictions
from mmps.testing import noisy_predictions, random_ground_truth, reorder_frames


@pytest.fixture
def truth():
    truth = random_ground_truth(30, num_queries=8)
    for size in 5, 10:
        truth.galleries[str(size)] = sample_gallery(truth, size)
    return truth


def test_is_the_same_on_every_machine():
    """A fixed hash: another numpy, byte order or release must give it too."""
    truth = SearchGroundTruth(
        frame_names=['a.jpg', 'sub/ü.jpg'],
        camera_ids=[1, -1],
        bboxes=[[0.5, -2.25, 30, 60], [1, 2, 3, 4], [5, 6, 7.125, 8]],
        person_ids=[0, -1, 0],
        frame_splits=[0, 1, 3],
        query_bboxes=[[0.5, -2.25, 30, 60]],
        query_person_ids=[0],
        query_frames=[0],
    )
    found = fingerprint(truth)
    assert found['counts'] == {
        'frames': 2,
        'cameras': 1,
        'boxes': 3,
        'labelled boxes': 2,
        'person ids': 1,
        'queries': 1,
        'galleries': {},
    }
    assert found['sha256'] == (
        '5b3853dcc6eceff82190a69cf715ff568f9fbf7fe9fb0ee3e46a36ad4d911b06'
    )


def test_counts_of_galleries(truth):
    counts = fingerprint(truth)['counts']['galleries']
    assert list(counts) == ['10', '5']
    positives = np.isfinite(truth.galleries['5'].bboxes[:, 0]).sum()
    assert counts['5'] == {
        'queries': 8,
        'entries': 40,
        'positives': positives,
    }


@pytest.mark.parametrize('dtype', [np.float32, np.float64, '>f8'])
def test_kind_of_numbers_does_not_matter(truth, dtype):
    other = deepcopy(truth)
    other.bboxes = truth.bboxes.astype(dtype)
    other.query_bboxes = np.asfortranarray(truth.query_bboxes.astype(dtype))
    other.person_ids = truth.person_ids.astype(np.int16)
    other.query_frames = truth.query_frames.astype('>i4')
    assert fingerprint(other) == fingerprint(truth)


def test_order_of_galleries_does_not_matter(truth):
    other = deepcopy(truth)
    other.galleries = dict(reversed(truth.galleries.items()))
    assert fingerprint(other) == fingerprint(truth)


def test_what_is_lost_between_corners_and_sides_does_not_matter(truth):
    """(x1, y1, w, h) and back, in float64, for every box of a large set."""
    rng = np.random.default_rng(0)
    truth = random_ground_truth(2000)
    shape = truth.bboxes.shape
    lost = []
    # All digits, decimals, and steps and half steps.
    for boxes in (
        rng.uniform(-5, 2000, shape),
        rng.uniform(-5, 2000, shape).round(4),
        rng.integers(-80, 2**16, shape) / 2**11,
    ):
        truth.bboxes = boxes
        other = deepcopy(truth)
        sides = boxes[:, 2:] - boxes[:, :2]
        other.bboxes = np.hstack([boxes[:, :2], boxes[:, :2] + sides])
        lost.append(int((other.bboxes != boxes).sum()))
        assert fingerprint(other) == fingerprint(truth)
    assert lost[0] > 0
    assert lost[1] > 0
    assert lost[2] == 0  # exact in binary, and so is a half step


def change(truth, name, value):
    array = getattr(truth, name)
    array[len(array) // 2] = value
    return truth


@pytest.mark.parametrize(
    'edit',
    [
        lambda t: change(t, 'bboxes', t.bboxes[len(t.bboxes) // 2] + 1 / 512),
        lambda t: change(t, 'query_bboxes', t.query_bboxes[0] + 1 / 512),
        lambda t: change(t, 'person_ids', 99),
        lambda t: change(t, 'query_person_ids', 99),
        lambda t: change(t, 'query_frames', 0),
        lambda t: change(t, 'camera_ids', 7),
        lambda t: change(t, 'frame_names', 'other.jpg'),
        lambda t: t.galleries.pop('5'),
        lambda t: t.galleries.update({'6': t.galleries.pop('5')}),
        lambda t: change(t.galleries['5'], 'frames', 29),
        lambda t: change(t.galleries['5'], 'queries', 99),
        lambda t: setattr(t.galleries['5'], 'rest_of_frames', True),
    ],
)
def test_every_annotation_matters(truth, edit):
    other = deepcopy(truth)
    edit(other)
    assert fingerprint(other)['sha256'] != fingerprint(truth)['sha256']


def test_presence_in_a_gallery_matters(truth):
    other = deepcopy(truth)
    boxes = other.galleries['5'].bboxes
    boxes[np.flatnonzero(np.isfinite(boxes[:, 0]))[0]] = np.nan
    assert fingerprint(other)['sha256'] != fingerprint(truth)['sha256']


def test_a_box_that_moves_to_the_next_frame_matters(truth):
    """Flat arrays stay as they are, only the offsets differ."""
    other = deepcopy(truth)
    frame = np.flatnonzero(np.diff(truth.frame_splits) > 0)[0]
    other.frame_splits[frame + 1] -= 1
    assert fingerprint(other)['sha256'] != fingerprint(truth)['sha256']


def test_nobody_to_be_found():
    nobody = np.empty((0, 4), np.float32)
    found = [
        fingerprint(
            SearchGroundTruth([name], [0], nobody, [], [0, 0], nobody, [], [])
        )
        for name in ('a.jpg', 'b.jpg')
    ]
    assert found[0]['counts']['boxes'] == found[0]['counts']['queries'] == 0
    assert found[0]['sha256'] != found[1]['sha256']


def test_predictions(truth, tmp_path):
    preds = noisy_predictions(truth, 8)
    wanted = hash_predictions(preds)
    preds.save(tmp_path / 'p.npz')
    order = np.random.default_rng(0).permutation(truth.num_frames)
    shuffled = reorder_frames(type(preds).load(tmp_path / 'p.npz'), order)
    assert hash_predictions(shuffled) != wanted
    assert hash_predictions(shuffled.align(truth)) == wanted
    for name in ('bboxes', 'scores', 'embeddings', 'query_embeddings'):
        other = deepcopy(preds)
        values = getattr(other, name).reshape(-1)
        values[3] = np.nextafter(values[3], np.float32(9))
        assert hash_predictions(other) != wanted, name

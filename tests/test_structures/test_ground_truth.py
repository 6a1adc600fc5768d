"""Tests of the ground truth's refusals."""

import dataclasses

import numpy as np
import pytest

from mmps.structures import (
    GallerySet,
    SearchGroundTruth,
    frame_of_rows,
    ranges,
)
from mmps.testing import random_ground_truth


@pytest.fixture
def truth():
    return random_ground_truth(num_frames=6, num_queries=4)


def test_sizes_and_frames(truth):
    assert (truth.num_frames, truth.num_queries) == (6, 4)
    frames = []
    for frame in range(6):
        frames += [frame] * int(np.diff(truth.frame_splits)[frame])
    assert truth.box_frames.tolist() == frames


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('frame_names', ['a'] * 6, 'frame_names: a occurs twice'),
        ('frame_names', [1, 2, 3, 4, 5, 6], 'frame_names: expected a list'),
        ('camera_ids', np.zeros(5, int), r'camera_ids: expected shape \(6\)'),
        ('camera_ids', np.zeros(6), 'camera_ids: expected integers'),
        ('bboxes', np.zeros((3, 5)), r'bboxes: expected shape \(\*, 4\)'),
        ('person_ids', np.zeros(2, int), 'person_ids: expected shape'),
        ('query_person_ids', np.array([0, 1, -1, 0]), 'without an identity'),
        ('query_frames', np.array([0, 1, 6, 0]), 'query_frames: expected ind'),
        ('query_frames', np.array([0, -1, 1, 0]), 'query_frames: expected in'),
        ('frame_splits', np.arange(7), 'frame_splits: the last offset is 6'),
    ],
)
def test_bad_fields(truth, field, value, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(truth, **{field: value})


def test_bad_values(truth):
    boxes = truth.bboxes.copy()
    boxes[2, 1] = np.nan
    with pytest.raises(
        ValueError, match='bboxes: 1 values are not fin.*row 2'
    ):
        dataclasses.replace(truth, bboxes=boxes)
    splits = truth.frame_splits.copy()
    splits[1] = splits[2] + 1
    with pytest.raises(ValueError, match='never fall'):
        dataclasses.replace(truth, frame_splits=splits)


def test_integer_boxes_become_float(truth):
    whole = dataclasses.replace(truth, bboxes=truth.bboxes.astype(np.uint16))
    assert whole.bboxes.dtype == np.float32


def test_gallery_defaults_to_all_queries():
    gallery = GallerySet(
        np.array([0, 2, 3]), np.array([4, 5, 6]), np.full((3, 4), np.nan)
    )
    assert gallery.queries.tolist() == [0, 1]
    assert len(gallery) == 2


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(splits=np.array([0, 2, 4])), 'splits: the last offset is 4'),
        (dict(splits=np.array([1, 2, 3])), 'splits: offsets must start at 0'),
        (dict(splits=np.array([], int)), 'splits: offsets must start at 0'),
        (dict(bboxes=np.zeros((2, 4))), r'bboxes: expected shape \(3, 4\)'),
        (dict(queries=np.array([0])), r'queries: expected shape \(2\)'),
        (dict(queries=np.array([1, 1])), 'queries: a query is listed twice'),
    ],
)
def test_bad_galleries(changes, message):
    fields = dict(
        splits=np.array([0, 2, 3]),
        frames=np.array([4, 5, 6]),
        bboxes=np.zeros((3, 4)),
    )
    with pytest.raises(ValueError, match=message):
        GallerySet(**(fields | changes))


@pytest.mark.parametrize(
    ('frames', 'queries', 'message'),
    [
        ([0, 9], [1], r"galleries\['x'\].frames: expected indices 0..5"),
        ([0, 1], [9], r"galleries\['x'\].queries: expected indices 0..3"),
    ],
)
def test_gallery_of_another_data_set(truth, frames, queries, message):
    gallery = GallerySet(
        np.array([0, 2]), np.array(frames), np.zeros((2, 4)), queries
    )
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(truth, galleries={'x': gallery})


def test_no_boxes_at_all():
    truth = SearchGroundTruth(
        ['a'], np.zeros(1, int), np.empty((0, 4)), np.empty(0, int),
        np.zeros(2, int), np.zeros((1, 4)), np.zeros(1, int), np.zeros(1, int),
    )  # fmt: skip
    assert truth.num_queries == 1


def test_ranges_and_frame_of_rows():
    rng = np.random.default_rng(0)
    starts, counts = rng.integers(0, 99, 20), rng.integers(0, 4, 20)
    wanted = []
    for start, count in zip(starts, counts):
        wanted += list(range(start, start + count))
    assert ranges(starts, counts).tolist() == wanted
    assert ranges(np.array([], int), np.array([], int)).tolist() == []
    assert frame_of_rows(np.array([0, 2, 2, 3])).tolist() == [0, 0, 2]


@pytest.mark.parametrize(
    'row',
    [
        [0, 0, 5, np.nan],
        [np.nan, 0, 5, 5],
        [np.nan, np.nan, np.nan, 5],
        [0, 0, np.inf, 5],
        [-np.inf, 0, np.inf, 5],
        [5, 0, 4, 5],
        [0, 5, 5, 4],
    ],
)
def test_entries_have_a_box_or_none(row):
    """Half a box could not be found, and would lower the recall."""
    boxes = np.full((3, 4), np.nan, np.float32)
    boxes[0] = 0, 0, 9, 9
    GallerySet([0, 3], np.arange(3), boxes)
    boxes[1] = row
    with pytest.raises(ValueError, match='bboxes: row 1 is'):
        GallerySet([0, 3], np.arange(3), boxes)

"""Tests of checks of person ids."""

import numpy as np
import pytest
import torch

from mmps.models.utils.person_ids import as_raw_person_ids, check_person_ids


@pytest.mark.parametrize(
    'dtype', [torch.int16, torch.int32, torch.int64, torch.uint8]
)
def test_integers_are_accepted(dtype):
    check_person_ids('Part', torch.tensor([0, 2], dtype=dtype), 2, 3)


def test_unlabelled_and_nobody_are_accepted():
    check_person_ids('Part', torch.tensor([-1, -1]), 2, 1)
    check_person_ids('Part', torch.empty(0, dtype=torch.long), 0, 1)
    check_person_ids('Part', torch.tensor([999]), 1)


@pytest.mark.parametrize(
    ('ids', 'num_ids', 'error', 'match'),
    [
        (torch.tensor([0.0, 1.0]), 3, TypeError, 'Part: .*torch.float32'),
        (torch.tensor([True, False]), 3, TypeError, 'Part: .*torch.bool'),
        (torch.tensor([0]), 3, ValueError, r'Part: .*\(2,\), got \(1,\)'),
        (torch.tensor([[0, 1]]), 3, ValueError, r'got \(1, 2\)'),
        (torch.tensor([0, 3]), 3, ValueError, r'person id 3 .*0\.\.2'),
    ],
)
def test_bad_ids(ids, num_ids, error, match):
    with pytest.raises(error, match=match):
        check_person_ids('Part', ids, 2, num_ids)


@pytest.mark.parametrize(
    'raw',
    [
        (7, 932, 0),
        [7, 932, 0],
        np.array([7, 932, 0], dtype=np.int32),
        torch.tensor([7, 932, 0], dtype=torch.int16),
    ],
)
def test_raw_ids(raw):
    ids = as_raw_person_ids('Part', raw)
    assert ids.dtype == torch.int64
    assert ids.tolist() == [7, 932, 0]


@pytest.mark.parametrize(
    ('raw', 'error', 'match'),
    [
        ((), ValueError, 'Part: .*empty'),
        ((1, -2), ValueError, 'Part: .*holds -2'),
        ((4, 9, 4), ValueError, 'Part: .*holds 4 more'),
        ((1.5, 2.0), TypeError, 'Part: .*torch.float'),
        ((True, False), TypeError, 'Part: .*torch.bool'),
        (('p1', 'p2'), TypeError, 'Part: .*integers'),
        (((1, 2), (3, 4)), ValueError, r'Part: .*\(2, 2\)'),
        (5, ValueError, r'one-dimensional, got shape \(\)'),
    ],
)
def test_bad_raw_ids(raw, error, match):
    with pytest.raises(error, match=match):
        as_raw_person_ids('Part', raw)

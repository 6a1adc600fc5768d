"""Tests of random samples."""

import pytest
import torch

from mmps.testing import demo_search_samples


def test_samples_have_people_and_queries():
    inputs, samples = demo_search_samples(
        (3, 0, 2), (64, 96), num_ids=4, queries=(1, 0, 2), scale=0.5
    )
    assert inputs.shape == (3, 3, 64, 96)
    assert [len(s.gt_instances) for s in samples] == [3, 0, 2]
    for sample in samples:
        assert sample.ori_shape == (128, 192)
        people = sample.gt_instances
        assert (people.bboxes[:, 2:] > people.bboxes[:, :2]).all()
        assert (people.bboxes >= 0).all()
        assert (people.bboxes <= torch.tensor([96, 64, 96, 64])).all()
        assert ((people.person_ids >= -1) & (people.person_ids < 4)).all()
    # Queries are the first people of an image, in its original pixels.
    for sample, num in zip(samples, (1, 0, 2), strict=True):
        queries, people = sample.query_instances, sample.gt_instances
        torch.testing.assert_close(queries.bboxes / 2, people.bboxes[:num])
    order = [s.query_instances.query_indices.tolist() for s in samples]
    assert order == [[0], [], [1, 2]]


def test_the_seed_decides():
    first, again, other = (demo_search_samples(seed=s) for s in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert not torch.equal(first[0], other[0])
    assert 'query_instances' not in first[1][0]
    for one, same in zip(first[1], again[1], strict=True):
        assert torch.equal(one.gt_instances.bboxes, same.gt_instances.bboxes)


@pytest.mark.parametrize('people', [(), (0,)])
def test_no_people(people):
    inputs, samples = demo_search_samples(people)
    assert len(inputs) == len(samples) == len(people)

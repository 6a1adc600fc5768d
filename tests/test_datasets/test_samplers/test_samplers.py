"""Tests of sample orders: equal for any interruption, workers, processes."""

from itertools import islice

import pytest
from mmdet.datasets import samplers
from mmengine.dataset import InfiniteSampler

from mmps.datasets import AspectRatioBatchSampler, SeededInfiniteSampler


class Sizes:
    """Frames; every third one is higher than wide."""

    def __init__(self, count=11):
        self.count = count
        self.asked = 0

    def __len__(self):
        return self.count

    def get_data_info(self, index):
        self.asked += 1
        return dict(width=2, height=3 if index % 3 == 0 else 1)


def take(sampler, count):
    return [(int(i), i.seed) for i in islice(iter(sampler), count)]


def as_process(monkeypatch, rank, world_size):
    monkeypatch.setattr(
        'mmengine.dataset.sampler.get_dist_info', lambda: (rank, world_size)
    )


@pytest.mark.parametrize('shuffle', [True, False])
def test_the_order_is_mmengines(shuffle):
    ours = SeededInfiniteSampler(Sizes(), shuffle, seed=3)
    theirs = InfiniteSampler(Sizes(), shuffle, seed=3)
    got = take(ours, 30)
    assert [i for i, _ in got] == list(islice(iter(theirs), 30))
    assert [seed for _, seed in got] == [(3, place) for place in range(30)]


@pytest.mark.parametrize('world_size', [1, 2, 4])
def test_processes_share_one_stream(monkeypatch, world_size):
    """A global batch has the same samples and seeds on n processes."""
    whole = take(SeededInfiniteSampler(Sizes(), seed=5), 24)
    shares = []
    for rank in range(world_size):
        as_process(monkeypatch, rank, world_size)
        sampler = SeededInfiniteSampler(Sizes(), seed=5)
        shares.append(take(sampler, 24 // world_size))
    assert [s for step in zip(*shares) for s in step] == whole


@pytest.mark.parametrize(('rank', 'world_size'), [(0, 1), (1, 3)])
def test_skipping_goes_on_in_place(monkeypatch, rank, world_size):
    as_process(monkeypatch, rank, world_size)
    whole = take(SeededInfiniteSampler(Sizes(), seed=5), 20)
    sampler = SeededInfiniteSampler(Sizes(), seed=5)
    sampler.skip(13)
    assert take(sampler, 7) == whole[13:]


def batches(skipped=0, count=12):
    base = SeededInfiniteSampler(Sizes(), seed=1)
    sampler = AspectRatioBatchSampler(base, 2)
    sampler.skip_batches(skipped)
    return list(islice(iter(sampler), count))


def test_batches_are_mmdets():
    base = InfiniteSampler(Sizes(), seed=1)
    theirs = samplers.AspectRatioBatchSampler(base, 2)
    assert batches() == list(islice(iter(theirs), 12))


@pytest.mark.parametrize('skipped', [1, 5, 9])
def test_batches_are_skipped(skipped):
    got = batches(skipped, 12 - skipped)
    whole = batches()[skipped:]
    assert got == whole
    assert [[i.seed for i in b] for b in got] == [
        [i.seed for i in b] for b in whole
    ]

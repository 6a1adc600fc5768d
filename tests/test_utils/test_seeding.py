import copy
import pickle
import random

import numpy as np
import pytest
import torch
from mmengine.dataset import ConcatDataset, RepeatDataset

from mmps.utils.seeding import SeededIndex, drawing_from, seed_generators


def draw():
    return random.random(), np.random.rand(), torch.rand(()).item()


def test_the_same_seeds_draw_the_same():
    seed_generators(3, 0, 7)
    first = draw()
    draw()
    seed_generators(3, 0, 7)
    assert draw() == first


def test_other_seeds_draw_otherwise():
    drawn = set()
    for entropy in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0), (2**40, 1)]:
        seed_generators(*entropy)
        drawn.update(draw())
    assert len(drawn) == 15


def test_an_index_decides_and_leaves_no_trace():
    seed_generators(1)
    before = [draw() for _ in range(3)]
    seed_generators(1)
    got = [draw()]
    with drawing_from(SeededIndex(5, (4, 2))):
        inside = draw()
    got.append(draw())
    drawn = []
    with pytest.raises(KeyError):
        fail_after(drawn)
    assert drawn == [inside]  # the seed decides, not the index
    got.append(draw())
    assert got == before


def fail_after(drawn):
    with drawing_from(SeededIndex(8, (4, 2))):
        drawn.append(draw())
        raise KeyError


@pytest.mark.parametrize(
    'passed', [lambda i: pickle.loads(pickle.dumps(i)), copy.deepcopy]
)
def test_an_index_keeps_its_seed_on_the_way(passed):
    index = passed(SeededIndex(5, (4, 2)))
    assert index == 5
    assert index.seed == (4, 2)
    assert [10, 11, 12, 13, 14, 15][index] == 15


class Lists:
    """What mmengine's wrappers ask of a data set."""

    metainfo = {}
    full_init = staticmethod(lambda: None)

    def __init__(self):
        self.seen = []

    def __len__(self):
        return 3

    def __getitem__(self, index):
        self.seen.append((int(index), index.seed))


def test_wrappers_of_mmengine_hand_the_seed_on(monkeypatch):
    first, second = Lists(), Lists()
    both = ConcatDataset.__new__(ConcatDataset)
    both.datasets = [first, second]
    both.cumulative_sizes = [3, 6]
    both._fully_initialized = True
    both[SeededIndex(1, (7,))]
    both[SeededIndex(5, (8,))]
    assert first.seen == [(1, (7,))]
    assert second.seen == [(2, (8,))]
    twice = RepeatDataset.__new__(RepeatDataset)
    twice.dataset, twice._ori_len = first, 3
    twice._fully_initialized = True
    twice[SeededIndex(4, (9,))]
    assert first.seen[-1] == (1, (9,))

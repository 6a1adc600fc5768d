"""CircularQueue against a loop."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.memories import CircularQueue


def push_all(steps, size):
    """Push one after another; returns rows, filled, pointer."""
    rows, filled, pointer = torch.zeros(size, 2), [False] * size, 0
    for x, mask in steps:
        for feature, on in zip(x, mask.tolist()):
            if on:
                rows[pointer], filled[pointer] = feature, True
                pointer = (pointer + 1) % size
    return rows, filled, pointer


def run(steps, size):
    """Run the rule on a fresh queue."""
    rows = torch.zeros(size, 2)
    filled = torch.zeros(size, dtype=torch.bool)
    pointer = torch.tensor(0)
    empty = torch.zeros(0, 2), torch.zeros(0, dtype=torch.bool)
    for x, mask in steps:
        CircularQueue()(rows, filled, pointer, x, mask, *empty)
    return rows, filled.tolist(), int(pointer)


@given(
    masks=st.lists(
        st.lists(st.booleans(), min_size=1, max_size=12),
        min_size=1,
        max_size=5,
    ),
    size=st.integers(1, 9),
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_equals_pushing_one_after_another(masks, size):
    count = sum(len(mask) for mask in masks)
    features = (torch.arange(2.0 * count) + 1).view(count, 2)
    steps = [
        (x, torch.tensor(mask))
        for x, mask in zip(features.split([len(m) for m in masks]), masks)
    ]
    rows, filled, pointer = run(steps, size)
    expected = push_all(steps, size)
    assert torch.equal(rows, expected[0])
    assert (filled, pointer) == expected[1:]


def test_more_samples_than_slots():
    x = torch.arange(1.0, 15.0).view(7, 2)
    steps = [(x[:1], torch.tensor([True])), (x, torch.ones(7).bool())]
    rows, filled, pointer = run(steps, 3)
    # Eight pushes into three slots: samples 4, 5, 6 are the last.
    assert torch.equal(rows, x[[5, 6, 4]])
    assert filled == [True] * 3
    assert pointer == 2


@pytest.mark.parametrize('filled_before', [0, 2])
def test_nothing_to_push_changes_nothing(filled_before):
    x = torch.ones(4, 2)
    steps = [(x[:filled_before], torch.ones(filled_before).bool())]
    steps = steps[: bool(filled_before)]
    before = run(steps, 3)
    after = run([*steps, (x * 7, torch.zeros(4).bool())], 3)
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]

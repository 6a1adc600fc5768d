"""Tests of queue rules against loops."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.memories import CircularQueue, SelectiveRefreshQueue
from mmps.testing import DispatchedOperators


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
        st.lists(st.booleans(), max_size=12),
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
        (x, torch.tensor(mask).bool())
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


def refresh_all(steps, size, references, decay, max_score):
    """HOIM's rule, one sample after another; of equal scores the oldest go."""
    rows = torch.zeros(size, 3, dtype=torch.float64)
    filled, scores = [False] * size, [-1.0] * size
    ages = list(range(size))  # of unfilled slots, the first is the oldest
    clock = size
    for (x, mask), reference in zip(steps, references):
        before, start = rows.clone(), clock
        for feature, on in zip(x, mask.tolist()):
            if not on:
                continue
            known = max(float(feature @ row) for row in reference)
            stored = max(float(feature @ row) for row in before)
            score = min(max(known / max(stored, 1e-12), 0.0), max_score)
            slot = min(range(size), key=lambda i: (scores[i], ages[i]))
            if score >= scores[slot]:
                rows[slot], filled[slot] = feature, True
                scores[slot], ages[slot] = score, clock
            clock += 1
        # Newcomers lie in the slots given up in the order of the batch.
        new = [i for i in range(size) if ages[i] >= start]
        order = sorted(new, key=lambda i: ages[i])
        rows[new] = rows[order]
        for i, score in zip(new, [scores[j] for j in order]):
            scores[i] = score
        scores = [s * decay if f else s for s, f in zip(scores, filled)]
        ages = list(range(size))
    return rows, filled, scores


@given(
    masks=st.lists(
        st.lists(st.booleans(), max_size=9),
        min_size=1,
        max_size=6,
    ),
    size=st.integers(1, 7),
    seed=st.integers(0, 500),
)
@settings(max_examples=150, derandomize=True, deadline=None)
def test_selective_equals_refreshing_one_after_another(masks, size, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(num):
        rows = torch.randn(num, 3, generator=generator, dtype=torch.float64)
        return rows / rows.norm(dim=1, keepdim=True)

    steps = [(draw(len(mask)), torch.tensor(mask).bool()) for mask in masks]
    references = [draw(4) for _ in masks]
    rule = SelectiveRefreshQueue(decay=0.9, max_score=5.0).double()
    rule.allocate(size)
    rule.double()
    rows = torch.zeros(size, 3, dtype=torch.float64)
    filled = torch.zeros(size, dtype=torch.bool)
    for (x, mask), reference in zip(steps, references):
        rule(
            rows, filled, torch.tensor(0), x, mask, reference,
            torch.ones(4, dtype=torch.bool),
        )  # fmt: skip
    want, flags, scores = refresh_all(steps, size, references, 0.9, 5.0)
    assert sorted(filled.tolist()) == sorted(flags)
    assert sorted(rule.scores.tolist()) == pytest.approx(sorted(scores))
    # Which slot a feature has does not matter, which features there are does.
    order = [part[:, 0].argsort() for part in (rows, want)]
    torch.testing.assert_close(rows[order[0]], want[order[1]])
    # Every feature has its own score.
    for row, score in zip(rows, rule.scores):
        at = (want - row).abs().sum(1).argmin()
        assert float(score) == pytest.approx(scores[int(at)])


def test_selective_score_is_bounded_while_the_queue_is_empty():
    rule = SelectiveRefreshQueue()
    rule.allocate(3)
    x = torch.eye(2)
    score = rule.score(x, torch.zeros(3, 2), torch.tensor([[1.0, 0.0]]))
    assert score.tolist() == [10.0, 0.0]
    # Similarities below zero on either side.
    score = rule.score(-x, x[:1], torch.tensor([[1.0, 0.5]]))
    assert score.tolist() == [0.0, 0.0]


def test_selective_keeps_what_is_better():
    rule = SelectiveRefreshQueue(decay=0.5)
    rule.allocate(1)
    rows, filled = torch.zeros(1, 2), torch.zeros(1, dtype=torch.bool)
    reference = torch.tensor([[1.0, 0.0]])
    flags = torch.ones(1, dtype=torch.bool)

    def push(feature):
        x = torch.tensor([feature])
        rule(rows, filled, None, x, flags, reference, flags)
        return rows[0].tolist()

    assert push([1.0, 0.0]) == [1.0, 0.0]  # score 10, then 5
    assert push([0.6, 0.8]) == [1.0, 0.0]  # score 1 against 5, then 2.5
    assert push([0.6, 0.8]) == [1.0, 0.0]  # 1 against 2.5, then 1.25
    assert push([0.6, 0.8]) == [1.0, 0.0]  # 1 against 1.25, then 0.625
    assert push([0.6, 0.8]) == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize(
    'options', [dict(decay=0), dict(decay=1.1), dict(max_score=0)]
)
def test_selective_options_out_of_range(options):
    with pytest.raises(ValueError, match='SelectiveRefreshQueue: needs'):
        SelectiveRefreshQueue(**options)


@pytest.mark.parametrize('kind', [CircularQueue, SelectiveRefreshQueue])
def test_rules_do_not_wait_for_the_device(kind):
    """An assignment by index copies its value over first."""
    rule = kind()
    rule.allocate(5)
    x = torch.eye(7)
    rows, filled = torch.zeros(5, 7), torch.zeros(5, dtype=torch.bool)
    mask = torch.tensor([1, 0, 1, 1, 1, 1, 1]).bool()
    with DispatchedOperators() as operators:
        rule(rows, filled, torch.tensor(0), x, mask, x, mask)
    assert operators.waits == 0
    assert not [name for name in operators.counts if 'index_put' in name]
    assert filled.all()

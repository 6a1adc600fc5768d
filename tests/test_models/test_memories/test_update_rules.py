"""Tests of update rules against the published ones, sample after sample."""

import math
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.memories import (
    AdaptiveMomentumUpdate,
    IdGroups,
    MomentumUpdate,
    grouping,
)
from mmps.testing import DispatchedOperators


def sequential(prototypes, x, person_ids, momentum):
    """The rule as published, in double precision."""
    rows = prototypes.double().clone()
    for feature, person in zip(x.double(), person_ids.tolist()):
        if person >= 0:
            mixed = momentum * rows[person] + (1 - momentum) * feature
            rows[person] = mixed / mixed.norm()
    return rows


def unit(num, dims, seed, dtype=torch.float32):
    """Random unit rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, dims, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1).to(dtype)


def apply(rule, prototypes, filled, x, person_ids, static=False):
    """Run the rule on copies, optionally on the accelerator's path."""
    prototypes, filled = prototypes.clone(), filled.clone()
    usable = x.isfinite().all(1) & x.any(1)
    with (
        mock.patch.object(grouping, '_readable', return_value=not static),
        torch.no_grad(),
    ):
        rule(prototypes, filled, x, person_ids, usable)
    return prototypes, filled


@pytest.mark.parametrize('static', [False, True])
@given(
    person_ids=st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    momentum=st.sampled_from([0.05, 0.5, 0.9]),
    seed=st.integers(0, 1000),
    start=st.sampled_from(['empty', 'full', 'mixed']),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_equals_the_sequential_rule(static, person_ids, momentum, seed, start):
    prototypes = unit(5, 32, seed + 1)
    filled = torch.tensor(
        {'empty': [False] * 5, 'full': [True] * 5}.get(
            start, [True, False, True, False, True]
        )
    )
    prototypes[~filled] = 0
    x = unit(len(person_ids), 32, seed)
    person_ids = torch.tensor(person_ids)
    got, flags = apply(
        MomentumUpdate(momentum), prototypes, filled, x, person_ids, static
    )
    expected = sequential(prototypes, x, person_ids, momentum)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)
    seen = torch.zeros(5, dtype=torch.bool)
    seen[person_ids[person_ids >= 0]] = True
    assert torch.equal(flags, filled | seen)
    assert torch.equal(got[~seen], prototypes[~seen])
    norms = got.norm(dim=1)
    torch.testing.assert_close(norms, flags.float(), rtol=0, atol=1e-6)


@pytest.mark.parametrize('static', [False, True])
@given(
    person_ids=st.lists(st.integers(-1, 4), min_size=1, max_size=60),
    momentum=st.sampled_from([0.05, 0.5, 0.9]),
    seed=st.integers(0, 1000),
    damaged=st.booleans(),
)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_without_normalising(static, person_ids, momentum, seed, damaged):
    prototypes = 0.7 * unit(5, 32, seed + 1, torch.float64)
    filled = torch.tensor([True, False, True, False, True])
    prototypes[~filled] = 0
    x = unit(len(person_ids), 32, seed, torch.float64)
    if damaged:
        x[len(x) // 2] = float('nan')
    want = prototypes.clone()
    for feature, person in zip(x, person_ids):
        if person >= 0 and feature.isfinite().all():
            want[person] = momentum * want[person] + (1 - momentum) * feature
            filled[person] = True
    rule = MomentumUpdate(momentum, normalise=False)
    got, flags = apply(
        rule, prototypes, filled, x, torch.tensor(person_ids), static
    )
    torch.testing.assert_close(got, want, rtol=0, atol=1e-13)
    assert torch.equal(flags, filled)


def test_without_normalising_many_samples_on_an_accelerator():
    """More than it takes at a time."""
    x, person_ids = unit(1200, 16, 0, torch.float64), torch.arange(1200) % 3
    rows, filled = unit(3, 16, 1, torch.float64), torch.ones(3).bool()
    rule = MomentumUpdate(0.9, normalise=False)
    want, _ = apply(rule, rows, filled, x, person_ids)
    got, _ = apply(rule, rows, filled, x, person_ids, static=True)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize('momentum', [0.01, 0.5, 0.99])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_many_samples_of_one_id(momentum, dtype):
    x = unit(150, 64, 0, dtype)
    person_ids = torch.ones(150, dtype=torch.long)
    prototypes = torch.zeros(2, 64, dtype=dtype)
    got, _ = apply(
        MomentumUpdate(momentum),
        prototypes,
        torch.zeros(2, dtype=torch.bool),
        x,
        person_ids,
    )
    expected = sequential(prototypes, x, person_ids, momentum)
    atol = 1e-6 if dtype == torch.float32 else 1e-13
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=atol)


def test_first_sample_is_taken_over():
    x = unit(1, 16, 3)
    got, filled = apply(
        MomentumUpdate(),
        torch.zeros(3, 16),
        torch.zeros(3, dtype=torch.bool),
        x,
        torch.tensor([2]),
    )
    torch.testing.assert_close(got[2], x[0])
    assert filled.tolist() == [False, False, True]


@pytest.mark.parametrize('momentum', [0.05, 0.5, 0.9, 0.98])
@pytest.mark.parametrize('num', [64, 200, 1200])
def test_accelerator_path_is_exact_for_many_samples(momentum, num):
    """Also for more than it takes at a time, and whoever comes often."""
    x = unit(num, 64, 5)
    person_ids = torch.tensor([0, 1, 0, -1, 0]).repeat(num // 5 + 1)[:num]
    prototypes = unit(3, 64, 6)
    prototypes[0] = 0
    filled = torch.tensor([False, True, True])
    got, flags = apply(
        MomentumUpdate(momentum), prototypes, filled, x, person_ids, True
    )
    expected = sequential(prototypes, x, person_ids, momentum)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)
    assert flags.all()
    assert torch.equal(got[2], prototypes[2])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('spread', [0.05, 0.5, 2.0])
def test_accelerator_path_with_similar_samples(dtype, spread):
    """From copies of one embedding to hardly related ones."""
    base = unit(4, 32, 0, torch.float64)
    person_ids = torch.arange(300) % 4
    x = base[person_ids] + spread * unit(300, 32, 1, torch.float64)
    x = F.normalize(x, dim=1).to(dtype)
    filled = torch.ones(4, dtype=torch.bool)
    start = F.normalize(base + unit(4, 32, 2, torch.float64), dim=1).to(dtype)
    for momentum in (0.5, 0.9):
        got, _ = apply(
            MomentumUpdate(momentum), start, filled, x, person_ids, True
        )
        expected = sequential(start, x, person_ids, momentum)
        atol = 1e-6 if dtype == torch.float32 else 1e-9
        assert got.dtype == dtype
        torch.testing.assert_close(got.double(), expected, rtol=0, atol=atol)


@pytest.mark.parametrize('angle', [0.3, 0.05, 0.005])
def test_accelerator_path_with_nearly_opposite_samples(angle):
    """The prototype all but cancels out, twice."""
    prototypes, noise = unit(1, 32, 0), unit(3, 32, 1, torch.float64)
    x = unit(40, 32, 2)
    ids = torch.zeros(40, dtype=torch.long)
    for at, aside in zip((10, 25), noise):
        v = sequential(prototypes, x[:at], ids[:at], 0.5)[0]
        x[at] = F.normalize(angle * aside - v, dim=0).float()
    filled = torch.ones(1, dtype=torch.bool)
    got, _ = apply(MomentumUpdate(), prototypes, filled, x, ids, True)
    expected = sequential(prototypes, x, ids, 0.5)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('num', [64, 512])
def test_accelerator_path_launches_few_kernels(num):
    x = unit(num, 32, 0)
    person_ids = torch.arange(num) % 7 - 1
    prototypes = unit(6, 32, 1)
    filled = torch.ones(6, dtype=torch.bool)
    with DispatchedOperators() as operators:
        apply(MomentumUpdate(), prototypes, filled, x, person_ids, True)
    assert operators.launches < 190
    assert operators.waits == 0


@pytest.mark.parametrize('static', [False, True])
def test_unusable_samples_do_not_act(static):
    x = unit(6, 8, 0)
    x[1, 3] = float('nan')
    x[2, 0] = float('inf')
    x[4] = 0
    person_ids = torch.tensor([0, 0, 1, -1, 2, 0])
    prototypes = unit(3, 8, 1)
    filled = torch.tensor([True, True, False])
    prototypes[2] = 0
    got, flags = apply(
        MomentumUpdate(), prototypes, filled, x, person_ids, static
    )
    kept = torch.tensor([0, 5])
    expected = sequential(prototypes, x[kept], person_ids[kept], 0.5)
    torch.testing.assert_close(got.double(), expected, rtol=0, atol=1e-6)
    assert torch.equal(got[1:], prototypes[1:])
    assert flags.tolist() == [True, True, False]
    # Nothing usable at all.
    got, flags = apply(
        MomentumUpdate(),
        prototypes,
        filled,
        x[1:3],
        person_ids[1:3],
        static,
    )
    assert torch.equal(got, prototypes)
    assert torch.equal(flags, filled)


@pytest.mark.parametrize('static', [False, True])
def test_samples_that_cancel_out(static):
    x = torch.eye(4)[[1, 0, 2]] * torch.tensor([[1.0], [-1.0], [1.0]])
    prototypes = torch.eye(4)[:2].clone()
    filled = torch.ones(2, dtype=torch.bool)
    # Row 0 meets its opposite and nothing else: it stays.
    got, flags = apply(
        MomentumUpdate(),
        prototypes,
        filled,
        x[1:2],
        torch.tensor([0]),
        static,
    )
    assert torch.equal(got, prototypes)
    assert flags.all()
    # A later sample starts afresh.
    got, _ = apply(
        MomentumUpdate(),
        prototypes,
        filled,
        x[1:],
        torch.tensor([0, 0]),
        static,
    )
    assert torch.equal(got[0], x[2])


@pytest.mark.parametrize('repeats', [1, 2])
def test_overflow_is_not_written(repeats):
    prototypes = torch.eye(4)[:2].clone()
    got, _ = apply(
        MomentumUpdate(),
        prototypes,
        torch.ones(2, dtype=torch.bool),
        torch.full((repeats, 4), 1e38),
        torch.ones(repeats, dtype=torch.long),
    )
    assert torch.equal(got, prototypes)


@pytest.mark.parametrize('momentum', [0, 1, -0.1, float('nan')])
def test_momentum_out_of_range(momentum):
    with pytest.raises(ValueError, match='momentum must be between'):
        MomentumUpdate(momentum)


@pytest.mark.parametrize('static', [False, True])
def test_rounds_follow_the_batch_order(static):
    person_ids = torch.tensor([3, -1, 1, 3, 1, 3, 0])
    x = torch.arange(7.0)[:, None] + 1
    usable = torch.ones(7, dtype=torch.bool)
    usable[6] = False
    with mock.patch.object(grouping, '_readable', return_value=not static):
        groups = IdGroups(x, person_ids, usable, num_ids=4)
    seen = {}
    for sample, active in groups.rounds():
        assert not sample[~active].any()
        for row, value, on in zip(
            groups.rows.tolist(), sample.flatten(), active.flatten()
        ):
            if on:
                seen.setdefault(row, []).append(value.item())
    copies = 3 if static else 1
    values = {row: sorted(set(items)) for row, items in seen.items()}
    assert values == {1: [3.0, 5.0], 3: [1.0, 4.0, 6.0]}
    assert len(seen[3]) == 3 * copies
    assert groups.num_rounds == 3


def sequential_adaptive(
    prototypes, filled, x, person_ids, temperature, reading='equation'
):
    """Eq. 7 and 8, in double precision; q is that before the step."""
    before = prototypes.double()
    rows = before.clone()
    rivals = {}
    for person in set(person_ids.tolist()) - {-1}:
        others = [p for p in range(len(rows)) if p != person and filled[p]]
        if others and before[person].any():
            rivals[person] = max(
                others, key=lambda p: float(before[p] @ before[person])
            )
    for feature, person in zip(x.double(), person_ids.tolist()):
        if person < 0:
            continue
        v = rows[person]
        if not v.any():
            rows[person] = feature / feature.norm()
            continue
        share = 0.5
        if person in rivals:
            rival = before[rivals[person]]
            near = float(v @ feature)
            far = float(rival @ (feature if reading == 'equation' else v))
            top = max(near, far)
            a = math.exp((near - top) / temperature)
            b = math.exp((far - top) / temperature)
            # In the equation x has the weight a, in the text v has it.
            share = (a if reading == 'equation' else b) / (a + b)
        mixed = (1 - share) * v + share * feature
        rows[person] = mixed / mixed.norm()
    return rows


@pytest.mark.parametrize('static', [False, True])
@given(
    person_ids=st.lists(st.integers(-1, 4), min_size=1, max_size=30),
    temperature=st.sampled_from([0.03, 0.05, 0.5]),
    reading=st.sampled_from(['equation', 'text']),
    seed=st.integers(0, 1000),
    start=st.sampled_from(['empty', 'full', 'mixed', 'one']),
)
@settings(max_examples=120, derandomize=True, deadline=None)
def test_adaptive_equals_the_sequential_rule(
    static, person_ids, temperature, reading, seed, start
):
    prototypes = unit(5, 32, seed + 1)
    filled = torch.tensor(
        {
            'empty': [False] * 5,
            'full': [True] * 5,
            'one': [False, True, False, False, False],
        }.get(start, [True, False, True, False, True])
    )
    prototypes[~filled] = 0
    x = unit(len(person_ids), 32, seed)
    ids = torch.tensor(person_ids)
    rule = AdaptiveMomentumUpdate(temperature, reading)
    rows, flags = apply(rule, prototypes, filled, x, ids, static)
    want = sequential_adaptive(
        prototypes, filled, x, ids, temperature, reading
    )
    torch.testing.assert_close(rows.double(), want, rtol=0, atol=3e-6)
    for person in range(5):
        assert flags[person] == (filled[person] or person in person_ids)
    torch.testing.assert_close(
        rows[flags].norm(dim=1), torch.ones(int(flags.sum()))
    )


def test_adaptive_moves_little_towards_a_rival():
    v = F.normalize(torch.tensor([[1.0, 0.0], [0.6, 0.8]]), dim=1)
    filled = torch.ones(2, dtype=torch.bool)
    ids = torch.tensor([0])
    rule = AdaptiveMomentumUpdate(0.05)
    towards, _ = apply(rule, v, filled, v[1:], ids)
    away = F.normalize(torch.tensor([[0.9, -0.4]]), dim=1)
    from_it, _ = apply(rule, v, filled, away, ids)
    assert float(towards[0] @ v[0]) > 0.999
    assert float(from_it[0] @ away[0]) > 0.999


def test_adaptive_text_replaces_a_prototype_near_its_rival():
    v = F.normalize(torch.tensor([[1.0, 0.0], [0.9, 0.4]]), dim=1)
    filled = torch.ones(2, dtype=torch.bool)
    x = F.normalize(torch.tensor([[0.5, -0.9]]), dim=1)
    rule = AdaptiveMomentumUpdate(0.05, 'text')
    moved, _ = apply(rule, v, filled, x, torch.tensor([0]))
    assert float(moved[0] @ x[0]) > 0.999
    # Far from its rival it keeps to itself.
    apart = torch.stack((v[0], -v[0]))
    kept, _ = apply(rule, apart, filled, x, torch.tensor([0]))
    assert float(kept[0] @ v[0]) > 0.999


@pytest.mark.parametrize('static', [False, True])
def test_adaptive_leaves_out_what_is_not_usable(static):
    prototypes = unit(3, 8, 1)
    filled = torch.ones(3, dtype=torch.bool)
    x = unit(3, 8, 2)
    x[0] = float('nan')
    x[1] = 0
    ids = torch.tensor([0, 1, 7])
    rows, _ = apply(
        AdaptiveMomentumUpdate(), prototypes, filled, x, ids, static
    )
    assert torch.equal(rows, prototypes)


def test_adaptive_options_out_of_range():
    with pytest.raises(ValueError, match='temperature must be positive'):
        AdaptiveMomentumUpdate(0)
    with pytest.raises(ValueError, match="'equation' or 'text', got 'both'"):
        AdaptiveMomentumUpdate(reading='both')
    with pytest.raises(ValueError, match='max_repeats must be None or'):
        AdaptiveMomentumUpdate(max_repeats=0)


def test_adaptive_is_exact_for_many_samples_on_an_accelerator():
    """Early samples matter where late ones look like the rival."""
    prototypes = unit(2, 8, 1)
    filled = torch.ones(2, dtype=torch.bool)
    good = F.normalize(prototypes[:1] + 0.3 * unit(60, 8, 2), dim=1)
    bad = F.normalize(prototypes[1:] + 0.1 * unit(64, 8, 3), dim=1)
    x, ids = torch.cat((good, bad)), torch.zeros(124, dtype=torch.long)
    rule = AdaptiveMomentumUpdate()
    host, _ = apply(rule, prototypes, filled, x, ids)
    device, _ = apply(rule, prototypes, filled, x, ids, static=True)
    torch.testing.assert_close(host, device, rtol=0, atol=1e-6)
    want = sequential_adaptive(prototypes, filled, x, ids, 0.05)
    torch.testing.assert_close(host.double(), want, rtol=0, atol=1e-5)
    # Sixty-four rounds only would have lost them.
    short = AdaptiveMomentumUpdate(max_repeats=64)
    other, _ = apply(short, prototypes, filled, x, ids, static=True)
    assert (other - host).abs().max() > 0.01


def test_rules_show_their_options():
    assert 'momentum=0.7' in repr(MomentumUpdate(momentum=0.7))
    shown = repr(AdaptiveMomentumUpdate(temperature=0.1, reading='text'))
    assert 'temperature=0.1' in shown
    assert 'text' in shown

"""Property tests of a memory after random training steps."""

import io

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.memories import IdentityMemory

IDS, DIMS, QUEUE = 4, 16, 5
OPTIONS = dict(derandomize=True, deadline=None)
RULES = {
    'oim': dict(),
    'hoim': dict(
        queue=dict(type='mmps.SelectiveRefreshQueue'), background_size=3
    ),
    'circular': dict(
        background_size=3, background=dict(type='mmps.CircularQueue')
    ),
    'pgsfl': dict(update=dict(type='mmps.AdaptiveMomentumUpdate')),
    'none': dict(queue_size=0),
}
rules = pytest.mark.parametrize('rule', RULES)


def build(rule):
    return IdentityMemory(IDS, DIMS, **{'queue_size': QUEUE, **RULES[rule]})


@st.composite
def steps(draw, least=-1, most=IDS - 1, damage=True):
    """Embeddings, ids and background of one training step."""
    ids = draw(st.lists(st.integers(least, most), max_size=8))
    rng = torch.Generator().manual_seed(draw(st.integers(0, 2**16)))
    x = F.normalize(torch.randn(len(ids), DIMS, generator=rng), dim=1)
    other = torch.randn(draw(st.integers(0, 4)), DIMS, generator=rng)
    other = F.normalize(other, dim=1)
    bad = draw(st.integers(0, 12)) if damage else len(ids)
    if bad < len(ids):
        x[bad] = draw(st.sampled_from([0.0, float('nan'), float('inf')]))
    return x, torch.tensor(ids, dtype=torch.long), other


def assert_same(one, other, **tolerance):
    one, other = one.state_dict(), other.state_dict()
    assert one.keys() == other.keys()
    for name in one:
        if tolerance:
            torch.testing.assert_close(one[name], other[name], **tolerance)
        else:
            assert torch.equal(one[name], other[name]), name


@rules
@settings(max_examples=25, **OPTIONS)
@given(sequence=st.lists(steps(), min_size=1, max_size=5))
def test_rows_are_unit_vectors_or_zero(rule, sequence):
    memory = build(rule)
    people = torch.zeros(IDS, dtype=torch.bool)
    for x, ids, other in sequence:
        memory.update(x, ids, other)
        usable = x.isfinite().all(1) & x.any(1)
        people[ids[usable & (ids >= 0)]] = True
        assert torch.equal(memory.prototypes_filled, people)
        for name in ('prototypes', 'queue', 'background'):
            if not hasattr(memory, name):
                continue
            rows = getattr(memory, name)
            filled = getattr(memory, f'{name}_filled')
            torch.testing.assert_close(
                rows.norm(dim=1), filled.float(), rtol=0, atol=2e-6
            )
        cosine = memory(x[usable]).cosine
        assert cosine.isfinite().all()
        assert (cosine.abs() < 1.001).all()


@rules
@settings(max_examples=20, **OPTIONS)
@given(
    before=st.lists(steps(), max_size=3),
    strangers=steps(most=-1),
    people=steps(least=0),
)
def test_strangers_and_people_keep_apart(rule, before, strangers, people):
    memory = build(rule)
    for step in before:
        memory.update(*step)
    prototypes = memory.prototypes.clone()
    filled = memory.prototypes_filled.clone()
    memory.update(*strangers)
    assert torch.equal(memory.prototypes, prototypes)
    assert torch.equal(memory.prototypes_filled, filled)
    queue, pointer = memory.queue.clone(), memory.queue_pointer.clone()
    memory.update(*people)
    assert torch.equal(memory.queue, queue)
    assert torch.equal(memory.queue_pointer, pointer)


@rules
@settings(max_examples=25, **OPTIONS)
@given(
    sequence=st.lists(steps(), min_size=1, max_size=6),
    stops=st.sets(st.integers(0, 5)),
)
def test_saved_and_loaded_at_any_step(rule, sequence, stops):
    memory, other = build(rule), build(rule)
    for number, step in enumerate(sequence):
        memory.update(*step)
        other.update(*step)
        if number in stops:
            file = io.BytesIO()
            torch.save(other.state_dict(), file)
            file.seek(0)
            other = build(rule)
            other.load_state_dict(torch.load(file, weights_only=True))
    assert_same(memory, other)


@settings(max_examples=30, **OPTIONS)
@given(
    before=st.lists(steps(), max_size=2),
    step=steps(),
    shuffle=st.randoms(use_true_random=False),
)
@pytest.mark.parametrize('rule', ['oim', 'circular', 'pgsfl'])
def test_only_the_order_within_a_person_matters(rule, before, step, shuffle):
    memory, other = build(rule), build(rule)
    for one in before:
        memory.update(*one)
        other.update(*one)
    x, ids, background = step
    memory.update(x, ids, background)
    # Mixed anew, but everybody's samples as they followed each other.
    order = list(range(len(ids)))
    shuffle.shuffle(order)
    places = {person: [] for person in ids.tolist()}
    for place, person in enumerate(ids.tolist()):
        places[person].append(place)
    order = [places[int(ids[i])].pop(0) for i in order]
    other.update(x[order], ids[order], background)
    assert_same(memory, other, rtol=0, atol=1e-6)


@settings(max_examples=30, **OPTIONS)
@given(before=st.lists(steps(), max_size=2), step=steps())
def test_one_step_equals_a_step_for_each_sample(before, step):
    """OIM's rules take samples one after another."""
    memory, other = build('circular'), build('circular')
    for one in before:
        memory.update(*one)
        other.update(*one)
    x, ids, background = step
    memory.update(x, ids, background)
    for i in range(len(ids)):
        other.update(x[i : i + 1], ids[i : i + 1])
    for row in background:
        other.update(x[:0], ids[:0], row[None])
    assert_same(memory, other, rtol=0, atol=2e-6)


@settings(max_examples=15, **OPTIONS)
@given(sequence=st.lists(steps(), min_size=1, max_size=3))
@rules
def test_a_reset_forgets_everything(rule, sequence):
    memory = build(rule)
    for step in sequence:
        memory.update(*step)
    memory.reset()
    assert_same(memory, build(rule))
    fresh = build(rule)
    for step in sequence:
        memory.update(*step)
        fresh.update(*step)
    assert_same(memory, fresh)

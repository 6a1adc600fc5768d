"""Tests of IdentityMemory: reading, updating, types and devices."""

from contextlib import nullcontext
from copy import deepcopy
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from mmps.models.memories import IdentityMemory, identity_memory
from mmps.registry import MODELS


def unit(num, dims, seed=0, dtype=torch.float32):
    """Random unit rows."""
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, dims, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1).to(dtype)


def state(memory):
    """A copy of everything that a checkpoint holds."""
    return {k: v.clone() for k, v in memory.state_dict().items()}


def assert_same(one, other):
    """Bit-equal states."""
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def loop_update(memory, x, person_ids):
    """Published update of a memory's state, sample after sample."""
    rows = memory.prototypes.double().clone()
    filled = memory.prototypes_filled.clone()
    queue, flags = memory.queue.clone(), memory.queue_filled.clone()
    pointer = int(memory.queue_pointer)
    for feature, person in zip(x, person_ids.tolist()):
        if not feature.isfinite().all():
            continue
        if person >= 0:
            mixed = 0.5 * rows[person] + 0.5 * feature.double()
            rows[person] = mixed / mixed.norm()
            filled[person] = True
        elif len(queue):
            queue[pointer], flags[pointer] = feature.float(), True
            pointer = (pointer + 1) % len(queue)
    return rows, filled, queue, flags, pointer


@given(
    steps=st.lists(
        st.lists(st.integers(-1, 5), max_size=25), min_size=1, max_size=4
    ),
    queue_size=st.sampled_from([0, 1, 7, 40]),
    bad=st.integers(0, 30),
)
@settings(max_examples=40, derandomize=True, deadline=None)
def test_update_equals_the_loop(steps, queue_size, bad):
    memory = IdentityMemory(6, 32, queue_size)
    for i, ids in enumerate(steps):
        person_ids = torch.tensor(ids, dtype=torch.long)
        x = unit(len(ids), 32, seed=i)
        if bad < len(ids):
            x[bad, 1] = float('nan')
        expected = loop_update(memory, x, person_ids)
        memory.update(x, person_ids)
        torch.testing.assert_close(
            memory.prototypes.double(), expected[0], rtol=0, atol=1e-6
        )
        assert torch.equal(memory.prototypes_filled, expected[1])
        assert torch.equal(memory.queue, expected[2])
        assert torch.equal(memory.queue_filled, expected[3])
        assert int(memory.queue_pointer) == expected[4]
    for rows, filled in (
        (memory.prototypes, memory.prototypes_filled),
        (memory.queue, memory.queue_filled),
    ):
        torch.testing.assert_close(
            rows.norm(dim=1), filled.float(), rtol=0, atol=1e-6
        )


def test_deferred_updates_wait_for_commit():
    """In the order of the calls, background included; or not at all."""
    memory = IdentityMemory(4, 8, queue_size=3, background_size=2)
    other = deepcopy(memory)
    calls = [
        (unit(3, 8, 1), torch.tensor([2, -1, 2]), unit(1, 8, 2)),
        (unit(2, 8, 3), torch.tensor([2, 0]), None),
    ]
    empty = state(memory)
    for discarded in (True, False):
        memory.deferred = True
        for call in calls:
            memory.update(*call)
        assert_same(state(memory), empty)
        assert not memory(unit(1, 8)).filled.any()
        if discarded:
            memory.discard()
        memory.commit()
        memory.deferred = False
        if discarded:
            assert_same(state(memory), empty)
    for call in calls:
        other.update(*call)
    assert_same(state(memory), state(other))
    memory.commit()
    assert_same(state(memory), state(other))


def test_deferred_updates_are_checked_at_once():
    memory = IdentityMemory(4, 8, background_size=2)
    memory.deferred = True
    with pytest.raises(ValueError, match='expected embeddings of shape'):
        memory.update(unit(2, 8), torch.tensor([0, 1]), unit(1, 7))
    with pytest.raises(ValueError, match='4'):
        memory.update(unit(1, 8), torch.tensor([4]))


@pytest.mark.parametrize('unfilled', ['zero', 'mask'])
def test_readout(unfilled):
    memory = IdentityMemory(3, 8, queue_size=4, unfilled=unfilled)
    memory.update(unit(3, 8), torch.tensor([2, -1, 0]))
    x = unit(5, 8, seed=1)
    readout = memory(x)
    for i in range(5):
        for j in range(7):
            row = memory.prototypes[j] if j < 3 else memory.queue[j - 3]
            expected = (x[i] * row).sum()
            torch.testing.assert_close(readout.cosine[i, j], expected)
    filled = [True, False, True, True, False, False, False]
    assert readout.filled.tolist() == filled
    if unfilled == 'mask':
        assert readout.valid.tolist() == filled
    else:
        assert readout.valid is None
    assert readout.num_ids == 3
    assert torch.equal(readout.prototypes, memory.prototypes)
    assert not readout.prototypes.requires_grad


@pytest.mark.parametrize('queue_size', [0, 4])
def test_readout_is_a_snapshot(queue_size):
    memory = IdentityMemory(3, 8, queue_size)
    memory.update(unit(3, 8), torch.tensor([0, 1, -1]))
    rows = torch.cat([memory.prototypes, memory.queue])
    before = memory.prototypes.clone()
    filled = torch.cat([memory.prototypes_filled, memory.queue_filled])
    filled = filled.clone()
    x = unit(4, 8, seed=1).requires_grad_()
    readout = memory(x)
    memory.update(x, torch.tensor([2, 1, -1, -1]))
    assert not torch.equal(memory.prototypes[1], before[1])
    assert torch.equal(readout.prototypes, before)
    assert torch.equal(readout.filled, filled)
    weight = unit(4, 3 + queue_size, seed=2)
    (readout.cosine * weight).sum().backward()
    torch.testing.assert_close(x.grad, weight @ rows)
    assert not memory.prototypes.requires_grad
    assert memory.prototypes.grad_fn is None


@pytest.mark.parametrize(
    'dtype', [torch.float16, torch.bfloat16, torch.float32, torch.float64]
)
def test_dtypes(dtype):
    memory = IdentityMemory(3, 16, queue_size=4)
    x = unit(4, 16, dtype=dtype)
    memory.update(x, torch.tensor([0, 1, -1, 2], dtype=torch.int32))
    assert memory.prototypes.dtype == memory.queue.dtype == torch.float32
    torch.testing.assert_close(memory.queue[0], x[2].float())
    wide = torch.promote_types(dtype, torch.float32)
    cosine = memory(x).cosine
    assert cosine.dtype == wide
    expected = x.to(wide) @ memory.prototypes.to(wide).T
    torch.testing.assert_close(cosine[:, :3], expected)


def test_float32_under_autocast():
    memory, plain = (IdentityMemory(3, 16, queue_size=4) for _ in range(2))
    x, person_ids = unit(40, 16), torch.arange(40) % 4 - 1
    plain.update(x, person_ids)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert (x @ x.T).dtype == torch.bfloat16
        memory.update(x, person_ids)
        cosine = memory(x).cosine
    assert_same(state(memory), state(plain))
    assert torch.equal(cosine, plain(x).cosine)


def test_casts_of_the_model_keep_the_precision():
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2), IdentityMemory(3, 16, queue_size=4)
    )
    model[1].update(unit(4, 16), torch.tensor([0, 1, -1, 2]))
    before = state(model[1])
    model.half()
    assert model[0].weight.dtype == torch.float16
    assert_same(state(model[1]), before)
    model.to(torch.bfloat16)
    assert_same(state(model[1]), before)
    model.double()
    assert model[1].prototypes.dtype == torch.float64
    assert model[1](unit(2, 16)).cosine.dtype == torch.float64
    assert model[1].prototypes_filled.dtype == torch.bool
    model.float()
    assert_same(state(model[1]), before)


@pytest.mark.parametrize(
    'rules',
    [
        dict(),
        dict(queue=dict(type='mmps.SelectiveRefreshQueue'), background_size=4),
        dict(update=dict(type='mmps.AdaptiveMomentumUpdate', max_repeats=9)),
    ],
    ids=['oim', 'hoim', 'pgsfl'],
)
@pytest.mark.parametrize('queue_size', [0, 5])
@pytest.mark.parametrize('num', [1, 30])
def test_accelerators_are_not_waited_for(queue_size, num, rules):
    # On the meta device, whatever reads a value on the host raises.
    memory = IdentityMemory(6, 8, queue_size, **rules).to('meta')
    x = torch.empty(num, 8, device='meta')
    person_ids = torch.empty(num, dtype=torch.long, device='meta')
    with pytest.raises((RuntimeError, NotImplementedError)):
        person_ids.max().item()
    # There is no autocast to turn off on that device.
    with mock.patch.object(torch, 'autocast', return_value=nullcontext()):
        memory.update(x, person_ids, x)
        cosine = memory(x).cosine
    assert cosine.shape == (num, 6 + queue_size)
    assert memory.prototypes.is_meta


@pytest.mark.gpu
def test_cuda_equals_cpu_without_waiting():
    memory = IdentityMemory(6, 32, queue_size=9)
    other = deepcopy(memory).cuda()
    for seed in range(4):
        x = unit(50, 32, seed)
        person_ids = torch.arange(50) * (seed + 3) % 7 - 1
        memory.update(x, person_ids)
        x, person_ids = x.cuda(), person_ids.cuda()
        torch.cuda.set_sync_debug_mode('error')
        try:
            other.update(x, person_ids)
            cosine = other(x).cosine
        finally:
            torch.cuda.set_sync_debug_mode('default')
    for name, value in other.state_dict().items():
        torch.testing.assert_close(
            value.cpu(), memory.state_dict()[name], rtol=0, atol=1e-6
        )
    torch.testing.assert_close(cosine.cpu(), memory(x.cpu()).cosine)


def test_copy_and_repr():
    memory = IdentityMemory('auto', 8, queue_size=4)
    assert 'auto' in repr(memory)
    memory.resolve([5, 3])
    memory.update(unit(2, 8), torch.tensor([1, -1]))
    copy = deepcopy(memory)
    before = state(memory)
    assert_same(state(copy), before)
    copy.update(unit(2, 8, seed=1), torch.tensor([0, -1]))
    assert_same(state(memory), before)
    assert not torch.equal(copy.prototypes, memory.prototypes)
    text = repr(memory)
    assert 'num_ids=2, embed_dims=8, queue_size=4' in text
    assert 'MomentumUpdate(momentum=0.5' in text


def test_background_is_compared_with_people_before_they_change():
    """HOIM's third buffer, its part of the readout, and the order."""
    memory = IdentityMemory(3, 8, queue_size=2, background_size=4)
    seen = []
    real = memory.background_rule.forward

    def spy(*args):
        seen.append(args[5].clone())
        real(*args)

    memory.background_rule.forward = spy
    x, other = unit(3, 8), unit(2, 8, seed=5)
    memory.update(x, torch.tensor([0, -1, 2]), other)
    assert not seen[0].any()
    assert memory.background_filled.tolist() == [True, True, False, False]
    torch.testing.assert_close(memory.background[:2], other)
    memory.update(x[:0], torch.tensor([], dtype=torch.long), other)
    assert torch.equal(seen[1], torch.cat([memory.prototypes, memory.queue]))
    readout = memory(x.requires_grad_())
    torch.testing.assert_close(readout.background, x @ memory.background.T)
    assert readout.background_valid is None
    part = readout.select(torch.tensor([2, 0]))
    assert torch.equal(part.background, readout.background[[2, 0]])
    assert torch.equal(part.cosine, readout.cosine[[2, 0]])
    # No storage is shared with the memory.
    before = readout.background.clone()
    memory.reset()
    assert torch.equal(readout.background, before)
    assert not memory.background.any()
    assert (memory.background_rule.scores < 0).all()


def test_unfilled_background_can_be_masked():
    memory = IdentityMemory(
        3, 8, queue_size=2, background_size=4, unfilled='mask'
    )
    assert not memory(unit(1, 8)).background_valid.any()


def test_background_without_a_queue_for_it_is_ignored():
    memory = IdentityMemory(3, 8, queue_size=2)
    memory.update(unit(1, 8), torch.tensor([0]), unit(2, 8, seed=5))
    assert memory(unit(1, 8)).background is None
    assert memory.prototypes_filled.tolist() == [True, False, False]


def test_empty_batch_changes_nothing():
    memory = IdentityMemory(3, 8, queue_size=4)
    memory.update(unit(2, 8), torch.tensor([0, -1]))
    before = state(memory)
    memory.update(torch.empty(0, 8), torch.empty(0, dtype=torch.long))
    assert_same(state(memory), before)
    assert memory(torch.empty(0, 8)).cosine.shape == (0, 7)


def test_scores_of_selective_queues_decay_without_samples():
    """As in the official code, in every step."""
    memory = IdentityMemory(
        3,
        8,
        queue_size=4,
        queue=dict(type='mmps.SelectiveRefreshQueue', decay=0.5),
        background_size=4,
        background=dict(type='mmps.SelectiveRefreshQueue', decay=0.5),
    )
    nothing = torch.empty(0, 8), torch.empty(0, dtype=torch.long)
    people = unit(3, 8), torch.tensor([0, 1, 2])
    memory.update(*people, unit(2, 8, seed=1))
    memory.update(unit(2, 8, seed=2), torch.tensor([-1, -1]))
    before = state(memory)
    for step in (nothing, (*nothing, nothing[0])):
        memory.update(*step)
    after = state(memory)
    for rule, filled in (
        ('queue_rule', before['queue_filled']),
        ('background_rule', before['background_filled']),
    ):
        assert filled.sum() == 2
        scores = before.pop(f'{rule}.scores')
        want = torch.where(filled, scores / 4, scores)
        assert torch.equal(after.pop(f'{rule}.scores'), want)
    assert_same(after, before)


def test_reset():
    memory = IdentityMemory('auto', 8, queue_size=4)
    memory.resolve([7, 9])
    fresh = state(memory)
    memory.update(unit(3, 8), torch.tensor([1, -1, -1]))
    memory.reset()
    assert_same(state(memory), fresh)


def test_unresolved_memory_names_the_way_out():
    memory = IdentityMemory(embed_dims=8)
    for call in (
        lambda: memory(unit(1, 8)),
        lambda: memory.update(unit(1, 8), torch.tensor([0])),
    ):
        with pytest.raises(RuntimeError, match='ResolvePersonIdsHook'):
            call()


@pytest.mark.parametrize(
    ('x', 'person_ids', 'error', 'match'),
    [
        (unit(2, 9), [0, 1], ValueError, r'shape \(N, 8\), got \(2, 9\)'),
        (unit(2, 8)[0], [0], ValueError, r'got \(8,\)'),
        (unit(2, 8), [0], ValueError, r'shape \(2,\), got \(1,\)'),
        (unit(2, 8), [0.0, 1.0], TypeError, 'must be integers'),
        (unit(2, 8), [0, 3], ValueError, r'person id 3 is outside 0\.\.2'),
    ],
)
def test_bad_input(x, person_ids, error, match):
    memory = IdentityMemory(3, 8, queue_size=4)
    before = state(memory)
    with pytest.raises(error, match=match):
        memory.update(x, torch.tensor(person_ids))
    assert_same(state(memory), before)


@pytest.mark.parametrize(
    'option',
    [
        dict(num_ids=0),
        dict(num_ids='all'),
        dict(num_ids=4.0),
        dict(embed_dims=0),
        dict(queue_size=-1),
        dict(unfilled='skip'),
        dict(on_mismatch='ignore'),
    ],
)
def test_bad_option(option):
    (name,) = option
    with pytest.raises(ValueError, match=f'{name} must be '):
        IdentityMemory(**option)


def test_builds_from_a_config():
    memory = MODELS.build(
        dict(
            type='mmps.IdentityMemory',
            num_ids=4,
            embed_dims=8,
            queue_size=2,
            update=dict(type='mmps.MomentumUpdate', momentum=0.25),
            queue=dict(type='mmps.CircularQueue'),
        )
    )
    first, second = unit(2, 8)
    memory.update(torch.stack([first, second]), torch.tensor([3, 3]))
    expected = F.normalize(0.25 * first + 0.75 * second, dim=0)
    torch.testing.assert_close(memory.prototypes[3], expected)


def published_memory(rows):
    """As imported from other code, which does not store whose rows are."""
    memory = IdentityMemory(rows, 8, queue_size=4)
    memory.update(unit(3, 8), torch.tensor([0, 1, -1]))
    return memory.state_dict()


def test_rows_of_unknown_people_are_not_trained_from(monkeypatch):
    """Some published tables have one row less than PRW has people."""
    said = []
    monkeypatch.setattr(
        identity_memory, 'print_log', lambda text, **_: said.append(text)
    )
    memory = IdentityMemory('auto', 8, queue_size=4)
    memory.resolve([5, 3, 9])
    memory.load_state_dict(published_memory(2))
    assert said == [
        'IdentityMemory: the checkpoint has 2 identities and does not say '
        'which, the data set 3. The memory starts empty'
    ]
    assert not memory.prototypes_filled.any()
    assert not memory.queue_filled.any()
    assert memory.raw_person_ids.tolist() == [5, 3, 9]


def test_rows_of_unknown_people_are_searched_with():
    stored = published_memory(2)
    memory = IdentityMemory('auto', 8, queue_size=4)
    memory.load_state_dict(stored)
    assert_same(state(memory), stored)

"""Tests of IdentityMemory's state: identities, checkpoints, rules' buffers."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_state_dict

from mmps.models.memories import BaseQueueRule, IdentityMemory
from mmps.registry import MODELS


@MODELS.register_module(force=True)
class ScoredQueue(BaseQueueRule):
    """Replaces the slot of the lowest score, as a selective rule does."""

    def allocate(self, queue_size):
        self.register_buffer('scores', torch.zeros(queue_size))
        self.calls = 0

    def reset(self):
        self.scores.zero_()

    def forward(
        self, queue, filled, pointer, x, mask, reference, reference_filled
    ):
        self.calls += 1
        for feature in x[mask]:
            seen = reference[reference_filled] @ feature
            score = seen.abs().amax() if len(seen) else 0
            slot = self.scores.argmin()
            queue[slot], filled[slot] = feature, True
            self.scores[slot] = score


def unit(num, dims=8, seed=0):
    """Random unit rows."""
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(num, dims, generator=generator), dim=1)


def assert_same(one, other):
    """Bit-equal memories."""
    one, other = one.state_dict(), other.state_dict()
    assert one.keys() == other.keys()
    for name in one:
        assert torch.equal(one[name], other[name]), name


def trained(raw=(4, 9, 2), queue_size=5, dims=8, **kwargs):
    """A memory that has seen some people."""
    memory = IdentityMemory('auto', dims, queue_size, **kwargs)
    memory.resolve(raw)
    memory.update(unit(6, dims), torch.tensor([0, -1, 1, 0, -1, -1]))
    return memory


def torch_load(memory, state):
    """torch's way, keys strict."""
    memory.load_state_dict(state)


def mmengine_load(memory, state):
    """The Runner's way: it logs what does not fit and goes on."""
    load_state_dict(memory, state, strict=False)


LOADERS = pytest.mark.parametrize('load', [torch_load, mmengine_load])


def test_resolve():
    memory = IdentityMemory('auto', 8, queue_size=5)
    assert memory.num_ids == 0
    memory.resolve((4, 9, 2))
    assert memory.num_ids == 3
    assert memory.prototypes.shape == (3, 8)
    assert memory.raw_person_ids.tolist() == [4, 9, 2]
    memory.update(unit(2), torch.tensor([1, -1]))
    before = copy.deepcopy(memory)
    memory.resolve(torch.tensor([4, 9, 2]))
    assert_same(memory, before)


def test_resolve_other_people():
    memory = trained()
    before = copy.deepcopy(memory)
    with pytest.raises(ValueError, match='3 identities, the data set 2'):
        memory.resolve([4, 9])
    with pytest.raises(ValueError, match='id 1 is 9 in the memory and 2 in'):
        memory.resolve([4, 2, 9])
    assert_same(memory, before)
    memory = trained(on_mismatch='reset')
    memory.resolve([1, 2])
    fresh = IdentityMemory('auto', 8, queue_size=5)
    fresh.resolve([1, 2])
    assert_same(memory, fresh)


def test_resolve_a_fixed_number():
    memory = IdentityMemory(482, 8, on_mismatch='reset')
    with pytest.raises(ValueError, match="482 .* has 483 .*num_ids='auto'"):
        memory.resolve(range(483))
    memory.resolve(range(10, 492))
    assert memory.raw_person_ids[-1] == 491


SELECTIVE = dict(type='mmps.SelectiveRefreshQueue')


@LOADERS
@pytest.mark.parametrize(
    'rules',
    [
        dict(),
        dict(queue=SELECTIVE, background_size=4),
        dict(background_size=4, background=dict(type='mmps.CircularQueue')),
        dict(update=dict(type='mmps.AdaptiveMomentumUpdate')),
    ],
    ids=['oim', 'hoim', 'circular-background', 'pgsfl'],
)
def test_save_and_resume_is_bit_equal(load, rules):
    one = trained(**rules)
    one.update(unit(2, seed=8), torch.tensor([0, -1]), unit(3, seed=7))
    file = io.BytesIO()
    torch.save(one.state_dict(), file)
    file.seek(0)
    other = IdentityMemory('auto', 8, queue_size=5, **rules)
    other.resolve((4, 9, 2))
    load(other, torch.load(file, weights_only=True))
    assert_same(one, other)
    for step in range(3):
        x, ids = unit(9, seed=step), torch.arange(9) % 4 - 1
        assert torch.equal(one(x).cosine, other(x).cosine)
        for memory in (one, other):
            memory.update(x, ids, unit(5, seed=20 + step))
        assert_same(one, other)


def test_background_queue_of_another_size_is_refused():
    memory = trained(background_size=4)
    for size in (0, 3):
        with pytest.raises(ValueError, match='background'):
            memory.load_state_dict(trained(background_size=size).state_dict())


@LOADERS
@pytest.mark.parametrize('num_ids', ['auto', 3])
def test_unresolved_memory_adopts_the_checkpoint(load, num_ids):
    source = trained()
    model = torch.nn.ModuleDict(
        dict(memory=IdentityMemory(num_ids, 8, queue_size=5))
    )
    load(model, {f'memory.{k}': v for k, v in source.state_dict().items()})
    assert_same(model['memory'], source)
    # From now on it knows its people.
    with pytest.raises(ValueError, match='numbers?.*differently'):
        model['memory'].resolve([9, 4, 2])


@LOADERS
def test_known_identities_survive_a_checkpoint_without(load):
    source = IdentityMemory(3, 8, queue_size=5)
    source.update(unit(3), torch.tensor([0, 1, -1]))
    memory = IdentityMemory('auto', 8, queue_size=5)
    memory.resolve((4, 9, 2))
    load(memory, source.state_dict())
    assert memory.raw_person_ids.tolist() == [4, 9, 2]
    assert torch.equal(memory.prototypes, source.prototypes)


def without_pointer():
    """A checkpoint that lacks one buffer."""
    state = trained().state_dict()
    del state['queue_pointer']
    return state


MISMATCHES = pytest.mark.parametrize(
    ('state', 'match'),
    [
        (trained((1, 2)).state_dict, '3 identities, the checkpoint 2'),
        (trained((4, 2, 9)).state_dict, 'id 1 is 9 in the memory and 2 in'),
        (trained(queue_size=7).state_dict, 'queue_size=5, the checkpoint 7'),
        (trained(dims=9).state_dict, 'embed_dims=8, the checkpoint 9'),
        (without_pointer, 'the checkpoint lacks queue_pointer'),
    ],
)


@LOADERS
@MISMATCHES
def test_checkpoint_of_other_people_is_an_error(load, state, match):
    memory = trained()
    before = copy.deepcopy(memory)
    with pytest.raises(ValueError, match=f"{match}.*on_mismatch='reset'"):
        load(memory, state())
    assert_same(memory, before)


@LOADERS
@MISMATCHES
def test_checkpoint_of_other_people_can_empty_the_memory(load, state, match):
    memory = trained(on_mismatch='reset')
    stored = state()
    before = {k: v.clone() for k, v in stored.items()}
    load(memory, stored)
    fresh = IdentityMemory('auto', 8, queue_size=5)
    fresh.resolve((4, 9, 2))
    assert_same(memory, fresh)
    # The caller's dictionary is left alone.
    assert stored.keys() == before.keys()
    assert all(torch.equal(stored[k], before[k]) for k in before)


def test_a_detector_without_memory_leaves_it_alone():
    memory = trained()
    before = copy.deepcopy(memory)
    mmengine_load(torch.nn.ModuleDict(dict(memory=memory)), {})
    assert_same(memory, before)


def test_rules_keep_their_own_state():
    rule = dict(type='mmps.ScoredQueue')
    memory = trained(queue=rule)
    assert memory.queue_rule.calls == 1
    # Compared with the prototypes before the step: none, so no score yet.
    assert not memory.queue_rule.scores.any()
    memory.update(unit(2, seed=3), torch.tensor([0, -1]))
    assert memory.queue_rule.scores.any()
    memory.update(unit(1, seed=4), torch.tensor([0]))
    assert memory.queue_rule.calls == 3
    assert 'queue_rule.scores' in memory.state_dict()
    other = IdentityMemory('auto', 8, queue_size=5, queue=rule)
    other.load_state_dict(memory.state_dict())
    assert_same(memory, other)
    assert other.half().queue_rule.scores.dtype == torch.float32
    # An emptied memory does not take over the checkpoint's scores either.
    strange = trained((1, 2), queue=rule, on_mismatch='reset')
    strange.load_state_dict(memory.state_dict())
    assert not strange.queue_rule.scores.any()
    other.reset()
    assert not other.queue_rule.scores.any()

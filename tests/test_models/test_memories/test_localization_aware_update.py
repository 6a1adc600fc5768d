"""LocalizationAwareUpdate against a loop over samples."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.memories import IdentityMemory
from mmps.models.memories.update_rules import LocalizationAwareUpdate

RULE = dict(type='mmps.LocalizationAwareUpdate')


def samples(num=12, dims=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = F.normalize(torch.randn(num, dims, generator=generator), dim=1)
    person_ids = torch.randint(-1, 3, (num,), generator=generator)
    return x, person_ids, torch.rand(num, generator=generator)


def loop(prototypes, x, person_ids, ious, low=0.7, high=0.9):
    rows = prototypes.double().clone()
    for vector, person, iou in zip(x.double(), person_ids, ious.double()):
        if person < 0:
            continue
        share = min(max(float(iou), low), high)
        moved = (1 - share) * rows[person] + share * vector
        rows[person] = moved / moved.norm()
    return rows


@pytest.mark.parametrize('seed', range(4))
def test_equals_a_loop(seed):
    memory = IdentityMemory(4, 6, queue_size=20, update=RULE)
    want = memory.prototypes
    for step in range(3):
        x, person_ids, ious = samples(seed=10 * seed + step)
        want = loop(want, x, person_ids, ious)
        memory.update(x, person_ids, ious=ious)
        torch.testing.assert_close(memory.prototypes.double(), want)
    assert not memory.prototypes_filled[3]
    unlabelled = x[person_ids < 0]
    assert (memory.queue @ unlabelled.T).amax(0).allclose(torch.ones(1))


def test_a_better_box_says_more():
    memory = IdentityMemory(2, 2, queue_size=0, update=RULE)
    start = torch.tensor([[1.0, 0.0]] * 2)
    person_ids, ious = torch.tensor([0, 1]), torch.tensor([0.75, 0.85])
    memory.update(start, person_ids, ious=ious)
    memory.update(start.flip(1), person_ids, ious=ious)
    assert memory.prototypes[1, 1] > memory.prototypes[0, 1] > 0.9


def test_deferred_samples_keep_their_overlap():
    x, person_ids, ious = samples()
    direct, deferred = (
        IdentityMemory(4, 6, queue_size=3, update=RULE) for _ in range(2)
    )
    direct.update(x, person_ids, ious=ious)
    deferred.deferred = True
    deferred.update(x, person_ids, ious=ious)
    assert not deferred.prototypes.any()
    deferred.commit()
    assert torch.equal(direct.prototypes, deferred.prototypes)


@pytest.mark.parametrize('ious', [None, torch.ones(3)])
def test_overlaps_are_needed(ious):
    memory = IdentityMemory(4, 6, queue_size=3, update=RULE)
    x, person_ids, _ = samples()
    with pytest.raises(ValueError, match='needs the IoU of 12 boxes'):
        memory.update(x, person_ids, ious=ious)


@pytest.mark.parametrize(
    'options', [dict(low=0), dict(low=0.8, high=0.7), dict(high=1.0)]
)
def test_shares_have_to_be_shares(options):
    with pytest.raises(ValueError, match='0 < low <= high < 1'):
        LocalizationAwareUpdate(**options)


def test_bounded_rounds():
    with pytest.raises(ValueError, match='max_repeats must be None or at le'):
        LocalizationAwareUpdate(max_repeats=0)

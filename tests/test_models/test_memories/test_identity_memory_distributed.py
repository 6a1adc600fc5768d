"""Tests of IdentityMemory in two processes against one with both batches."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.memories import IdentityMemory

from process_group import run_group

# Ids per rank: uneven, one id on both, no labelled one, nobody on a rank,
# nobody at all, more unlabelled people than the queue holds.
STEPS = [
    ([0, 1, 0, -1], [0, 2]),
    ([-1, -1], [3, 1, 1, 1, -1]),
    ([], [4, 0, -1]),
    ([2, 2, 0], []),
    ([], []),
    ([-1] * 5 + [1], [-1] * 4),
]


RULES = {
    'oim': dict(),
    'hoim': dict(
        queue=dict(type='mmps.SelectiveRefreshQueue'), background_size=7
    ),
    'pgsfl': dict(update=dict(type='mmps.AdaptiveMomentumUpdate')),
    'alignps': dict(update=dict(type='mmps.MomentumUpdate', normalise=False)),
}


def background(step, rank):
    """Background features of one rank: uneven, and none on a rank."""
    generator = torch.Generator().manual_seed(1000 + 10 * step + rank)
    count = [(3, 1), (0, 4), (2, 0), (0, 0), (9, 2), (1, 1)][step][rank]
    return F.normalize(torch.randn(count, 16, generator=generator), dim=1)


def samples(step, rank):
    """The batch of one rank."""
    person_ids = torch.tensor(STEPS[step][rank], dtype=torch.long)
    generator = torch.Generator().manual_seed(10 * step + rank)
    x = torch.randn(len(person_ids), 16, generator=generator)
    if step == 2 and rank == 1:
        x[0] = float('nan')
    return F.normalize(x, dim=1), person_ids


def train(rank, world_size, folder, rules):
    """One process: apply all steps and store the state after each."""
    memory = IdentityMemory(5, 16, queue_size=6, **RULES[rules])
    states = []
    for step in range(len(STEPS)):
        memory.update(*samples(step, rank), background(step, rank))
        states.append({k: v.clone() for k, v in memory.state_dict().items()})
    torch.save(states, f'{folder}/{rank}.pt')


@pytest.mark.parametrize('rules', RULES)
def test_two_processes_equal_one(tmp_path, rules):
    run_group(2, train, tmp_path, rules)
    ranks = [
        torch.load(tmp_path / f'{rank}.pt', weights_only=True)
        for rank in range(2)
    ]
    memory = IdentityMemory(5, 16, queue_size=6, **RULES[rules])
    for step in range(len(STEPS)):
        batches = [
            (*samples(step, rank), background(step, rank)) for rank in range(2)
        ]
        memory.update(*(torch.cat(parts) for parts in zip(*batches)))
        for name, value in memory.state_dict().items():
            assert torch.equal(value, ranks[0][step][name]), (step, name)
            assert torch.equal(value, ranks[1][step][name]), (step, name)
    assert memory.prototypes_filled.tolist() == [True] * 4 + [False]
    assert memory.queue_filled.all()

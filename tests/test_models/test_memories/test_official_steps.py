"""Tests of the memory against HOIM's official steps (tests/data/README.md)."""

from pathlib import Path

import numpy as np
import torch

from mmps.models.memories import IdentityMemory

STEPS = Path(__file__).parents[2] / 'data' / 'hoim_steps.npz'
SELECTIVE = dict(type='mmps.SelectiveRefreshQueue')
# Ours, and the official names of rows and scores.
QUEUES = {'queue': ('cq', 'cq_omega'), 'background': ('cqb', 'cqb_omega')}


def start(stored):
    """A memory that holds what the official one starts with."""
    rows = {name: stored[f'start/{key}'] for name, (key, _) in QUEUES.items()}
    prototypes = stored['start/lut']
    memory = IdentityMemory(
        *prototypes.shape,
        queue_size=len(rows['queue']),
        queue=SELECTIVE,
        background_size=len(rows['background']),
        background=SELECTIVE,
    )
    memory.prototypes.copy_(prototypes)
    memory.prototypes_filled.fill_(True)
    for name, (_, scores) in QUEUES.items():
        getattr(memory, name).copy_(rows[name])
        getattr(memory, f'{name}_filled').fill_(True)
        rule = getattr(memory, f'{name}_rule')
        rule.scores.copy_(stored[f'start/{scores}'])
    return memory


def test_memory_equals_the_official_one_after_every_step():
    with np.load(STEPS) as file:
        stored = {key: torch.from_numpy(file[key]) for key in file.files}
    memory = start(stored)
    changed = 0
    for step in range(10):
        x, y = stored[f'{step}/x'], stored[f'{step}/y']
        people, ids = x[y >= 0], y[y >= 0]
        before = memory.background.clone()
        memory.update(people, torch.where(ids == 5554, -1, ids), x[y < 0])
        changed += not torch.equal(before, memory.background)
        torch.testing.assert_close(
            memory.prototypes, stored[f'{step}/lut'], atol=1e-5, rtol=0
        )
        for name, (rows, scores) in QUEUES.items():
            # Which slot a feature lies in does not matter.
            want = torch.column_stack(
                (stored[f'{step}/{scores}'], stored[f'{step}/{rows}'])
            )
            rule = getattr(memory, f'{name}_rule')
            got = torch.column_stack((rule.scores, getattr(memory, name)))
            nearest = torch.cdist(got, want).argmin(1)
            assert sorted(nearest.tolist()) == list(range(len(want)))
            torch.testing.assert_close(got, want[nearest], atol=1e-5, rtol=0)
    assert changed > 3

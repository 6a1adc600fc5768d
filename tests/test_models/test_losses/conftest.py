"""Memories and embeddings that the tests of losses share."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.memories import IdentityMemory


def _unit(num, dims=8, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(num, dims, generator=generator, dtype=torch.float64)
    return F.normalize(rows, dim=1).to(dtype)


@pytest.fixture
def unit():
    """Random unit rows: (num, dims, seed, dtype) to a tensor."""
    return _unit


@pytest.fixture
def seen_memory():
    """Ids 0, 1, 3 and two unlabelled people are known; id 2 is not."""

    def build(unfilled='zero', background=0):
        memory = IdentityMemory(
            4, 8, queue_size=4, unfilled=unfilled, background_size=background
        ).double()
        memory.update(
            _unit(6, seed=9),
            torch.tensor([0, -1, 1, 3, -1, 0]),
            _unit(3, seed=11) if background else None,
        )
        return memory

    return build

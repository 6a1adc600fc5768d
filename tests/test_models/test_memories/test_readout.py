"""Tests of MemoryReadout: products on demand, and parts of a batch."""

import pytest
import torch
import torch.nn.functional as F

from mmps.models.memories import IdentityMemory


@pytest.fixture
def memory():
    torch.manual_seed(0)
    memory = IdentityMemory(3, 8, queue_size=2, background_size=4)
    x = F.normalize(torch.randn(5, 8), dim=1)
    memory.update(x, torch.tensor([0, 2, -1, 0, -1]), -x[:3])
    return memory


def test_cosines_are_products_with_every_row(memory):
    x = F.normalize(torch.randn(4, 8), dim=1).requires_grad_()
    readout = memory(x)
    cosine = readout.cosine
    for i in range(4):
        for j, row in enumerate((*memory.prototypes, *memory.queue)):
            want = sum(a * b for a, b in zip(x[i], row))
            torch.testing.assert_close(cosine[i, j], want)
    (grad,) = torch.autograd.grad(cosine.sum(), x)
    torch.testing.assert_close(grad, readout.rows.sum(0).expand(4, -1))


@pytest.mark.parametrize('computed', [False, True])
def test_parts_of_a_batch(memory, computed):
    x = F.normalize(torch.randn(4, 8), dim=1)
    readout = memory(x)
    if computed:
        readout.cosine, readout.background  # noqa: B018
    part = readout.select(torch.tensor([3, 1]))
    assert len(part) == 2
    torch.testing.assert_close(part.cosine, readout.cosine[[3, 1]])
    torch.testing.assert_close(part.background, readout.background[[3, 1]])
    assert torch.equal(part.prototypes, readout.prototypes)


def test_an_update_changes_nothing_that_was_read(memory):
    x = F.normalize(torch.randn(4, 8), dim=1)
    readout = memory(x)
    want = x @ torch.cat((memory.prototypes, memory.queue)).T
    pointer = int(memory.queue_pointer)
    memory.update(x, torch.tensor([0, 1, -1, 2]), x)
    torch.testing.assert_close(readout.cosine, want)
    assert int(readout.queue_pointer) == pointer
    assert int(memory.queue_pointer) != pointer


def test_float32_under_autocast(memory):
    x = F.normalize(torch.randn(4, 8), dim=1)
    with torch.autocast('cpu', torch.bfloat16):
        readout = memory(x.bfloat16())
        outs = readout.cosine, readout.background
    assert {out.dtype for out in outs} == {torch.float32}

"""The OIM step beside a loop over samples."""

import statistics

import torch
import torch.nn.functional as F
from torch import nn

from mmps.models.losses import OIMLoss
from mmps.models.memories import IdentityMemory

from .timing import in_turns, median_ratio, stopwatch


def oim_batch() -> tuple[IdentityMemory, nn.Parameter, torch.Tensor]:
    """CUHK-SYSU's memory and the people of a batch of eight images.

    Returns:
        A full memory, (512, 256) unit embeddings and their (512,)
        person ids.
    """
    torch.manual_seed(0)
    memory = IdentityMemory(5532, 256, queue_size=5000)
    rows = F.normalize(torch.randn(10532, 256), dim=1)
    memory.update(
        rows, torch.cat((torch.arange(5532), torch.full((5000,), -1)))
    )
    x = nn.Parameter(F.normalize(torch.randn(512, 256), dim=1))
    person_ids = torch.randint(-1, 5532, (512,))
    person_ids[::3] = -1
    return memory, x, person_ids


def oim_step(
    memory: IdentityMemory, x: nn.Parameter, person_ids: torch.Tensor
) -> dict[str, float]:
    """Time the OIM step, vectorised and as a loop over samples.

    Args:
        memory: A full one, of 0.5 momentum and a circular queue.
        x: (n, D) unit embeddings.
        person_ids: (n,) contiguous ids, -1 for unlabelled.

    Returns:
        Median seconds ``vectorised`` and ``loop``, and their ``ratio``, taken
        in turns.

    Raises:
        AssertionError: The two do not agree.
    """
    oim_loss = OIMLoss()

    def vectorised() -> torch.Tensor:
        x.grad = None
        value = oim_loss(memory(x), person_ids)
        value.backward()
        memory.update(x.detach(), person_ids)
        return value.detach()

    def looped() -> torch.Tensor:
        x.grad = None
        table = torch.cat((memory.prototypes, memory.queue))
        labelled = int((person_ids >= 0).sum())
        total = 0.0
        for feature, person in zip(x, person_ids.tolist()):
            if person >= 0:
                logits = table @ feature * 30
                total += torch.logsumexp(logits, 0) - logits[person]
        loss = total / labelled
        loss.backward()
        with torch.no_grad():
            for feature, person in zip(x, person_ids.tolist()):
                if person >= 0:
                    mixed = memory.prototypes[person] + feature
                    memory.prototypes[person] = mixed / mixed.norm()
                else:
                    slot = int(memory.queue_pointer)
                    memory.queue[slot] = feature
                    memory.queue_pointer.fill_((slot + 1) % memory.queue_size)
        return loss.detach()

    state = {k: v.clone() for k, v in memory.state_dict().items()}
    value = vectorised()
    after = {k: v.clone() for k, v in memory.state_dict().items()}
    grad = x.grad.clone()
    memory.load_state_dict(state)
    torch.testing.assert_close(looped(), value, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(x.grad, grad, rtol=1e-3, atol=1e-5)
    for name, tensor in memory.state_dict().items():
        torch.testing.assert_close(after[name], tensor, rtol=0, atol=1e-6)
    turns = in_turns(
        [lambda: stopwatch(vectorised)[0], lambda: stopwatch(looped)[0]], 5
    )
    return dict(
        vectorised=statistics.median(turns[0]),
        loop=statistics.median(turns[1]),
        ratio=median_ratio(*turns),
    )

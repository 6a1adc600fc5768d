"""Bring one step's samples of all processes together."""

import torch
from mmengine.dist import all_gather, get_world_size
from torch import Tensor


def gather_samples(x: Tensor, person_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Concatenate the samples of all processes in rank order.

    Every process must call it once per step, also with no sample of its own.
    The numbers of samples may differ: the counts are exchanged first (the
    one place where the host waits for the device), then rows padded to the
    largest count. In a single process the input is returned.

    Args:
        x: (N, D) embeddings of this process, the same dtype everywhere.
        person_ids: (N,) int64 ids.

    Returns:
        (M, D) embeddings and (M,) ids of all processes, identical on each.
    """
    if get_world_size() == 1:
        return x, person_ids
    counts = torch.cat(all_gather(person_ids.new_tensor([len(x)]))).tolist()
    short = max(counts) - len(x)
    if max(counts) == 0:
        return x, person_ids
    x = torch.cat([x, x.new_zeros(short, x.size(1))])
    person_ids = torch.cat([person_ids, person_ids.new_full((short,), -1)])
    return (
        torch.cat([t[:n] for t, n in zip(all_gather(x), counts)]),
        torch.cat([t[:n] for t, n in zip(all_gather(person_ids), counts)]),
    )

"""Sums and gathers that make n processes train as one with all samples."""

import torch
from mmengine.dist import all_gather, all_reduce, get_rank, get_world_size
from torch import Tensor


def samples_per_process(count: int | Tensor, like: Tensor) -> float | Tensor:
    """Divisor for the sum of a loss over this process's samples.

    Gradients are averaged over processes. With the mean number of samples
    as divisor, not this process's own, that average is the gradient of the
    mean over the samples of all, however they are spread. Every process must
    call it, also without a sample.

    Args:
        count: Samples of this process, an integer or () tensor.
        like: A tensor on the device to use.

    Returns:
        The larger of 1 and the number of all samples, divided by the number
        of processes; in a single process the larger of 1 and ``count``.
    """
    processes = get_world_size()
    if processes == 1:
        if isinstance(count, Tensor):
            return count.clamp(min=1)
        return max(count, 1)
    total = torch.as_tensor(count, dtype=torch.float32, device=like.device)
    total = total.clone()
    all_reduce(total, 'sum')
    return total.clamp(min=1) / processes


def gather_samples(x: Tensor, person_ids: Tensor) -> tuple[Tensor, Tensor]:
    """Concatenate the samples of all processes in rank order.

    Every process must call it once per step, also with no sample of its own.
    The numbers of samples may differ: the counts are exchanged first (the
    one place where the host waits for the device), then rows padded to the
    largest count. Each process's rows get the gradient of what all of them
    make of these rows. In a single process the input is returned.

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
        torch.cat([t[:n] for t, n in zip(_AllGather.apply(x), counts)]),
        torch.cat([t[:n] for t, n in zip(all_gather(person_ids), counts)]),
    )


class _AllGather(torch.autograd.Function):
    """Gather of equal shapes; torch's needs all-to-all in its backward."""

    @staticmethod
    def forward(ctx, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(all_gather(x.contiguous()))

    @staticmethod
    def backward(ctx, *grads: Tensor) -> Tensor:
        total = torch.stack(grads)
        all_reduce(total, 'sum')
        return total[get_rank()]

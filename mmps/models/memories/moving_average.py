"""Moving averages of a whole step's samples at once."""

import torch
from torch import Tensor

from .grouping import IdGroups

# Guesses and Newton steps. 512 random samples of one identity, in eight
# dimensions or more, then agree with the sequential rule to 1e-9 or better.
_GUESSES, _STEPS = 2, 4
# Length of a prototype that has cancelled out, so that only later samples
# count. Without cancelling, 512 samples do not make one as short.
_TINY = 1e-100
# Samples that one call should take: memory grows with their square.
MAX_SAMPLES = 512


def moving_average(
    groups: IdGroups, prototypes: Tensor, momentum: float
) -> Tensor:
    r"""Prototypes after all samples of their identity, without a loop.

    Without normalising in between, the rule ``v <- L2(m v + (1 - m) x)`` is
    ``u_t = m u_{t-1} + (1 - m) |u_{t-1}| x_t``. Given the lengths n_t, all
    u_t are one product of matrices, so the lengths solve the system ``n =
    |u(n)|``, in which each depends on earlier ones only. Newton's method
    solves it in a few steps, each a product and a triangular system, however
    many samples there are. Only where samples nearly cancel their prototype
    (m = 0.5, an angle within 0.2 degrees of 180) more steps would be needed.

    Args:
        groups: One group per sample, in the order of ``groups.samples``, as
            on an accelerator.
        prototypes: (L, D) unit rows, zero where unfilled.
        momentum: Share m of the old prototype.

    Returns:
        (G, D) float64, zero where everything has cancelled out.
    """
    position = torch.arange(len(groups.rows), device=prototypes.device)
    end = groups.starts + groups.counts
    # Samples that are left out stand in the place of no group.
    taken = (position >= groups.starts) & (position < end)
    first = position == groups.starts
    x = torch.where(taken[:, None], groups.samples.double(), 0)
    x = (1 - momentum) * x
    start = prototypes.index_select(0, groups.rows).double()
    start = torch.where(first[:, None], momentum * start, 0)

    # (t, i): how much of what sample i adds is left after sample t.
    age = position[:, None] - position
    belongs = (age >= 0) & (position >= groups.starts[:, None])
    share = momentum ** torch.where(belongs, age.double(), torch.inf)
    # (t, i): what n_t gets of n_i, by way of sample i + 1.
    passed_on = -share.masked_fill(first, 0).roll(-1, 1)
    next_x = x.roll(-1, 0).T

    def sums(length: Tensor) -> Tensor:
        before = length.roll(1).masked_fill(first, 1).clamp(min=_TINY)
        return share @ torch.addcmul(start, x, before[:, None])

    def unit(u: Tensor) -> tuple[Tensor, Tensor]:
        norm = torch.linalg.vector_norm(u, dim=1)
        return u / norm.clamp(min=_TINY**2)[:, None], norm

    added = start + x
    length = torch.ones_like(share[0])
    for _ in range(_GUESSES):
        # The directions so far tell by how much each sample shortens.
        v, _ = unit(sums(length))
        before = v.roll(1, 0).masked_fill(first[:, None], 0)
        after = torch.add(added, before, alpha=momentum)
        rate = torch.linalg.vector_norm(after, dim=1)
        rate = rate.clamp(min=_TINY).log()
        total = rate.cumsum(0)
        length = (total - (total - rate)[groups.starts]).exp()
    for _ in range(_STEPS):
        v, norm = unit(sums(length))
        step = torch.linalg.solve_triangular(
            v @ next_x * passed_on,
            (norm - length)[:, None],
            upper=False,
            unitriangular=True,
        )
        length = length + step[:, 0]
    last = (end - 1).clamp(min=0)
    return unit(sums(length).index_select(0, last))[0]


def plain_moving_average(
    groups: IdGroups, prototypes: Tensor, momentum: float
) -> Tensor:
    r"""Prototypes after ``v <- m v + (1 - m) x`` of all their samples.

    Args:
        groups: As :class:`IdGroups` makes them on any device.
        prototypes: (L, D) rows, zero where unfilled.
        momentum: Share m of the old prototype.

    Returns:
        (G, D) float64.
    """
    position = torch.arange(len(groups.samples), device=prototypes.device)
    age = (groups.starts + groups.counts)[:, None] - 1 - position
    belongs = (age >= 0) & (position >= groups.starts[:, None])
    share = momentum ** torch.where(belongs, age.double(), torch.inf)
    # Samples that are left out need not be numbers.
    taken = belongs.any(0)[:, None]
    samples = torch.where(taken, groups.samples.double(), 0)
    old = prototypes.index_select(0, groups.rows).double()
    value = (1 - momentum) * share @ samples + (
        momentum ** groups.counts.double()[:, None] * old
    )
    if groups.on_host:
        return value
    # A person's groups are written to one row: they have to be the same bits.
    return value.index_select(0, groups.starts)

"""PCNet's losses on points and on features before aggregation."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...utils.precision import precise


def distance_loss(
    points_y: Tensor,
    heights: Tensor,
    num_sets: int = 3,
    min_height: float = 1.0,
) -> Tensor:
    r"""Keep the context points of a location apart over the person's height.

    ``1/h sum_i ((m_{i+1} - m_i) - h/M)^2``, m_i the mean y of set i: the K
    points are split in kernel order into M consecutive sets of floor(K / M),
    the last takes the remainder.

    Source: Zhong et al., "Points in Context for Efficient Person Search"
    (PCNet), eq. 6.

    Args:
        points_y: (P, K) y coordinates in input pixels.
        heights: (P,) heights h of the assigned boxes in input pixels.
        num_sets: Number of sets M, 2 <= M <= K. Defaults to 3.
        min_height: Lower bound of h in pixels. Defaults to 1.

    Returns:
        (P,) losses.

    Raises:
        ValueError: Fewer points than sets.
    """
    num_points = points_y.size(1)
    if num_points < num_sets:
        raise ValueError(
            f'distance_loss: {num_points} points cannot form {num_sets} sets'
        )
    size = num_points // num_sets
    last = num_points - size * (num_sets - 1)
    points_y = precise(points_y)
    sets = points_y.split([size] * (num_sets - 1) + [last], dim=1)
    gaps = torch.stack([points.mean(1) for points in sets], dim=1).diff()
    heights = precise(heights).detach()[:, None].clamp(min=min_height)
    return ((gaps - heights / num_sets).square() / heights).sum(1)


def pcnet_triplet_loss(
    f: Tensor,
    f_prime: Tensor,
    person_ids: Tensor,
    candidates: Tensor,
    candidate_person_ids: Tensor,
    margin: float = 0.5,
    metric: Literal['euclidean', 'cosine'] = 'euclidean',
    unlabelled: Literal['ignore', 'shared'] = 'ignore',
) -> Tensor:
    r"""Pull a location's own feature f' towards its aggregated feature f.

    ``max(margin + d(f_i, f'_i) - min_j d(f_i, n_j), 0)`` over the candidates
    j of another identity; d is the squared Euclidean distance of the unit
    vectors, ``2 - 2 cos``, or ``-cos`` (a cosine margin m acts like a
    Euclidean margin 2m at half the slope). A sample without any negative has
    loss 0.

    Source: Zhong et al., "Points in Context for Efficient Person Search"
    (PCNet), eq. 11.

    Args:
        f: (P, D) features after aggregation, any length.
        f_prime: (P, D) features before aggregation, any length.
        person_ids: (P,) int64 contiguous ids, -1 for unlabelled.
        candidates: (M, D) features that n_j are taken from, any length.
        candidate_person_ids: (M,) int64, theirs.
        margin: The threshold sigma. Defaults to 0.5.
        metric: ``'euclidean'`` or ``'cosine'``. Defaults to 'euclidean'.
        unlabelled: ``'ignore'``: an unlabelled sample has loss 0 and is
            nobody's negative, since it may be any person. ``'shared'``: all
            unlabelled samples count as one identity, as in the release.
            Defaults to 'ignore'.

    Returns:
        (P,) losses.
    """
    if not len(f):
        # Tied to the candidates too: they may be of another process.
        return (f * f_prime).sum(1) + 0 * candidates.sum()
    with torch.autocast(f.device.type, enabled=False):
        f = F.normalize(precise(f), dim=1)
        f_prime = F.normalize(precise(f_prime), dim=1)
        others = f @ F.normalize(precise(candidates), dim=1).T
    is_negative = person_ids[:, None] != candidate_person_ids
    if unlabelled == 'ignore':
        has_id = (person_ids >= 0)[:, None] & (candidate_person_ids >= 0)
        is_negative = is_negative & has_id
    hardest = others.masked_fill(~is_negative, -torch.inf).amax(1)
    gap = hardest - (f * f_prime).sum(1)
    if metric == 'euclidean':
        gap = 2 * gap
    # Without a negative the gap is -inf, which relu turns into 0.
    return (margin + gap).relu()

"""Losses on pairs of people and scenes."""

import torch
from torch import Tensor

from ...utils.precision import precise


def scene_pairs(
    person_ids: Tensor, owners: Tensor, num_scenes: int
) -> tuple[Tensor, Tensor]:
    """Which scenes hold a person, and which surely do not.

    A labelled person is in every scene that has the id; somebody unlabelled
    in the own scene, and surely not in scenes that share no labelled person
    with it: others were likely filmed elsewhere or at another time.

    >>> import torch
    >>> from mmps.models.losses.functional import scene_pairs
    >>> ids, owners = torch.tensor([3, -1, 3, 4]), torch.tensor([0, 0, 1, 2])
    >>> positive, negative = scene_pairs(ids, owners, 3)
    >>> positive.int().tolist()
    [[1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    >>> negative.int().tolist()
    [[0, 0, 0, 1], [0, 0, 0, 1], [1, 1, 1, 0]]

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (GFN), WACV 2023, section 3.3 and its code.

    Args:
        person_ids: (Q,) contiguous ids, -1 for unlabelled people.
        owners: (Q,) index of the scene that each was seen in; others than
            0..num_scenes - 1 are of no scene.
        num_scenes: I.

    Returns:
        (I, Q) bool positive and negative pairs; some are neither.
    """
    count = len(person_ids)
    labelled = person_ids >= 0
    known = (person_ids[:, None] == person_ids) & labelled
    itself = torch.eye(count, dtype=torch.bool, device=owners.device)
    scenes = torch.arange(num_scenes, device=owners.device)
    owned = owners == scenes[:, None]
    # Counts of people; small enough to be exact.
    place = owned.float()
    with torch.autocast(owners.device.type, enabled=False):
        positive = place @ (known | itself).float() > 0
        share = place @ known.float() @ place.T > 0
        shared = share.float() @ place > 0
    return positive, ~positive & (labelled | ~shared)


def nt_xent(
    similarities: Tensor, positive: Tensor, negative: Tensor
) -> Tensor:
    """Cross-entropy of every positive pair against its anchor's negatives.

    ``log(1 + sum_n exp(s_n - s_p))`` for the pair p of an anchor and its
    negatives n; other positive pairs have no part in it.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of
    Visual Representations", ICML 2020, eq. 1; with several positives as of
    Jaffe and Zakhor (GFN), WACV 2023, eq. 4.

    Args:
        similarities: (I, Q) of Q anchors and I others, by the temperature.
        positive: (I, Q) bool.
        negative: (I, Q) bool.

    Returns:
        (I, Q) losses, at least float32, 0 where there is no positive pair.
    """
    similarities = precise(similarities)
    least = torch.finfo(similarities.dtype).min
    rest = similarities.masked_fill(~negative, least).logsumexp(0)
    # Without a negative pair the difference is infinitely negative.
    rest = rest.masked_fill(~negative.any(0), least / 2)
    away = (rest - similarities).masked_fill(~positive, least / 2)
    return torch.nn.functional.softplus(away)

"""Lower bound of what two embeddings of the same people share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils.precision import precise


@MODELS.register_module()
class MutualInformationLoss(nn.Module):
    """Raise the mutual information of two embeddings of a person.

    A network T scores pairs of embeddings. With g and h the unit means of a
    person's samples in either branch, over the people whom both have
    labelled samples of, the bound is (MINE, the Donsker-Varadhan form)

        mean T(g, h) - log mean exp T(g, h'),

    where h' is that of a person drawn at random for each, with replacement.
    The loss is its negative. In a share of the steps the embeddings get the
    gradient; in the others T alone does, which has to know the distributions
    first. Every process has a bound of its own, on its own people.

    Source: ROI-AlignPS, Yan et al., "Efficient Person Search: An
    Anchor-Free Approach"; Belghazi et al., "Mutual Information Neural
    Estimation", ICML 2018. The share and the weight are the published code's.

    Args:
        embed_dims: Sizes of the embeddings of the first and the second
            branch. Defaults to (256, 256).
        hidden_dims: Width of T's hidden layer. Defaults to 256.
        embedding_share: Share of the steps whose gradient reaches the
            embeddings. Defaults to 1 / 3.
        loss_weight: Factor of the loss. Defaults to 0.2.
    """

    def __init__(
        self,
        embed_dims: tuple[int, int] = (256, 256),
        hidden_dims: int = 256,
        embedding_share: float = 1 / 3,
        loss_weight: float = 0.2,
    ) -> None:
        super().__init__()
        self.pair_score = nn.Sequential(
            nn.Linear(sum(embed_dims), hidden_dims),
            nn.ReLU(),
            nn.Linear(hidden_dims, 1),
        )
        self.embedding_share = embedding_share
        self.loss_weight = loss_weight

    def forward(
        self, first: tuple[Tensor, Tensor], second: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Loss of one step.

        Args:
            first: (N, D) unit embeddings of the one branch and (N,) their
                person ids, -1 for unlabelled.
            second: (M, E) and (M,) of the other branch.

        Returns:
            () loss, fp32 at least, a zero tied to the graph if no labelled
            person is in both.
        """
        (x, person_ids), (y, others) = first, second
        # On the host, where it is drawn and where it is needed.
        if torch.rand(()) >= self.embedding_share:
            x, y = x.detach(), y.detach()
        mine = person_ids[:, None] == person_ids
        theirs = person_ids[:, None] == others
        # One row, of a person's first sample, stands for the person.
        is_first = ~mine.tril(-1).any(1)
        shared = is_first & theirs.any(1) & (person_ids >= 0)
        g, h = _unit_means(mine, x), _unit_means(theirs, y)
        drawn = h[_draw(shared)]
        return -self.loss_weight * self._bound(g, h, drawn, shared)

    def _bound(
        self, g: Tensor, h: Tensor, drawn: Tensor, shared: Tensor
    ) -> Tensor:
        """The bound over the rows (N,) that count."""
        pairs = torch.stack((torch.cat((g, h), 1), torch.cat((g, drawn), 1)))
        same, apart = precise(self.pair_score(pairs)[..., 0])
        count = shared.sum().clamp(min=1)
        # Where nobody counts, any finite value does: it becomes a zero.
        log_sum = torch.cat(
            (
                apart.masked_fill(~shared, float('-inf')),
                apart.new_zeros(1).masked_fill(shared.any(), float('-inf')),
            )
        ).logsumexp(0)
        return (same * shared).sum() / count - shared.any() * (
            log_sum - count.log()
        )


def _unit_means(mask: Tensor, x: Tensor) -> Tensor:
    """(N, D) unit means of the rows of x (M, D) that a mask (N, M) takes."""
    return F.normalize(mask.to(x.dtype) @ x, dim=1)


def _draw(mask: Tensor) -> Tensor:
    """(N,) indices, each drawn among those where the mask (N,) is True.

    The host does not learn how many there are.
    """
    count = mask.sum().clamp(min=1)
    rank = (torch.rand(len(mask), device=mask.device) * count).long()
    # Rounding up must not draw one that is not there.
    rank = torch.minimum(rank, count - 1)
    return mask.long().argsort(descending=True, stable=True)[rank]

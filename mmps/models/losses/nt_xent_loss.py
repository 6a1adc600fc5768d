"""The contrastive loss of people and scenes."""

from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import samples_per_process
from .functional import nt_xent


@MODELS.register_module()
class NTXentLoss(nn.Module):
    """Mean of :func:`nt_xent` over all positive pairs.

    With several processes over those of all. No positive pair at all gives a
    zero that is tied to the graph.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search"
    (GFN), WACV 2023, eq. 4.

    Args:
        temperature: Of the similarities. Defaults to 0.1.
        loss_weight: Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(
        self, temperature: float = 0.1, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                f'NTXentLoss: temperature must be positive, got {temperature}'
            )
        self.temperature = temperature
        self.loss_weight = loss_weight

    def forward(
        self, similarities: Tensor, positive: Tensor, negative: Tensor
    ) -> Tensor:
        """Loss of one batch.

        Args:
            similarities: (I, Q) cosines of I scenes and Q people.
            positive: (I, Q) bool, the scene holds the person.
            negative: (I, Q) bool, it surely does not.

        Returns:
            () loss, at least float32.
        """
        losses = nt_xent(similarities / self.temperature, positive, negative)
        divisor = samples_per_process(positive.sum(), similarities)
        return self.loss_weight * losses.sum() / divisor

"""KL divergence of embedding distributions from the standard normal."""

from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import samples_per_process


@MODELS.register_module()
class GaussianKLLoss(nn.Module):
    r"""``KL(N(mu, sigma^2) || N(0, 1))``, summed over dimensions.

    Source: UGAS, uncertainty guidance; Chang et al., "Data Uncertainty
    Learning in Face Recognition", CVPR 2020, eq. 7.

    Args:
        loss_weight: Factor of the loss. Defaults to 0.01.
    """

    def __init__(self, loss_weight: float = 0.01) -> None:
        super().__init__()
        self.loss_weight = loss_weight

    def forward(self, mean: Tensor, log_variance: Tensor) -> Tensor:
        """Mean over the samples.

        Args:
            mean: (N, D) mu.
            log_variance: (N, D) log sigma^2.

        Returns:
            () loss; a zero in the graph for N = 0.
        """
        mean, log_variance = mean.float(), log_variance.float()
        terms = mean.square() + log_variance.exp() - log_variance - 1
        divisor = 2 * samples_per_process(len(mean), mean)
        return self.loss_weight * terms.sum() / divisor

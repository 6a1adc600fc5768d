"""PCNet's distance loss."""

from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import samples_per_process
from .functional import distance_loss


@MODELS.register_module()
class DistanceLoss(nn.Module):
    """Scatter the context points of positive locations over the body.

    See :func:`~mmps.models.losses.functional.distance_loss` (PCNet, eq. 6).

    Args:
        num_sets: Number of sets M. Defaults to 3, the kernel's rows.
        min_height: Lower bound of the heights in pixels. Defaults to 1.
        loss_weight: Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: An option is out of range.
    """

    def __init__(
        self,
        num_sets: int = 3,
        min_height: float = 1.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if num_sets < 2:
            raise ValueError(
                f'DistanceLoss: num_sets must be 2 or more, got {num_sets}'
            )
        if not min_height > 0:
            raise ValueError(
                f'DistanceLoss: min_height must be positive, got {min_height}'
            )
        self.num_sets = num_sets
        self.min_height = min_height
        self.loss_weight = loss_weight

    def forward(
        self,
        points_y: Tensor,
        heights: Tensor,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Loss of the positive locations of one batch.

        Args:
            points_y: (P, K) y coordinates of the points in input pixels.
            heights: (P,) heights of the assigned boxes in input pixels,
                without gradient.
            avg_factor: Divisor of the sum. None takes P, averaged over the
                processes. Defaults to None.

        Returns:
            () float32 loss (float64 for float64 points), a zero tied to the
            graph for P = 0.

        Raises:
            ValueError: Wrong shapes, or fewer points than sets.
        """
        if points_y.dim() != 2 or heights.shape != points_y.shape[:1]:
            raise ValueError(
                'DistanceLoss: expected points_y (P, K) and heights (P,), '
                f'got {tuple(points_y.shape)} and {tuple(heights.shape)}'
            )
        loss = distance_loss(points_y, heights, self.num_sets, self.min_height)
        if avg_factor is None:
            avg_factor = samples_per_process(len(loss), loss)
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

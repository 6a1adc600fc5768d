"""PCNet's variant of the triplet loss."""

from typing import Literal

from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.models.utils.person_ids import check_person_ids
from mmps.registry import MODELS

from ..utils import gather_samples, samples_per_process
from .functional import pcnet_triplet_loss


@MODELS.register_module()
class PCNetTripletLoss(nn.Module):
    """Triplet of a location's features before and after aggregation.

    See :func:`~mmps.models.losses.functional.pcnet_triplet_loss` (PCNet,
    eq. 11).

    Args:
        margin: The threshold sigma. Defaults to 0.5.
        metric: ``'euclidean'`` (squared, of unit vectors) or ``'cosine'``
            (release). Defaults to 'euclidean'.
        negatives: ``'f_prime'`` or ``'f'`` (release). Defaults to 'f_prime'.
        unlabelled: ``'ignore'``, or ``'shared'`` (release: the unlabelled
            count as one identity). Defaults to 'ignore'.
        loss_weight: Factor of the loss. Defaults to 1.0.

    Raises:
        ValueError: An option has an unknown value.
    """

    def __init__(
        self,
        margin: float = 0.5,
        metric: Literal['euclidean', 'cosine'] = 'euclidean',
        negatives: Literal['f_prime', 'f'] = 'f_prime',
        unlabelled: Literal['ignore', 'shared'] = 'ignore',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        for name, value, allowed in (
            ('metric', metric, ('euclidean', 'cosine')),
            ('negatives', negatives, ('f_prime', 'f')),
            ('unlabelled', unlabelled, ('ignore', 'shared')),
        ):
            if value not in allowed:
                raise ValueError(
                    f'PCNetTripletLoss: {name} must be one of {allowed}, '
                    f'got {value!r}'
                )
        self.margin = margin
        self.metric = metric
        self.negatives = negatives
        self.unlabelled = unlabelled
        self.loss_weight = loss_weight

    def forward(
        self,
        f: Tensor,
        f_prime: Tensor,
        person_ids: Tensor,
        avg_factor: float | Tensor | None = None,
    ) -> Tensor:
        """Loss of the positive locations of one batch.

        Args:
            f: (P, D) features after aggregation; normalised here.
            f_prime: (P, D) features before aggregation; normalised here.
            person_ids: (P,) contiguous ids, -1 for unlabelled.
            avg_factor: Divisor of the sum. None takes P, all positive
                locations (eq. 14). Defaults to None.

        Returns:
            () float32 loss (float64 for float64 features), a zero tied to
            the graph when no sample has a negative.

        Raises:
            TypeError: ``person_ids`` are not integers.
            ValueError: Wrong shapes.
        """
        if f.dim() != 2 or f.shape != f_prime.shape:
            raise ValueError(
                'PCNetTripletLoss: expected f and f_prime of one shape '
                f'(P, D), got {tuple(f.shape)} and {tuple(f_prime.shape)}'
            )
        check_person_ids('PCNetTripletLoss', person_ids, len(f))
        source = f if self.negatives == 'f' else f_prime
        loss = pcnet_triplet_loss(
            f,
            f_prime,
            person_ids,
            *gather_samples(source, person_ids),
            self.margin,
            self.metric,
            self.unlabelled,
        )
        if avg_factor is None:
            avg_factor = samples_per_process(len(loss), loss)
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

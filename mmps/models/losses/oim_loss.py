"""Online instance matching loss, and with an angular margin."""

import math
from typing import Literal

from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.models.utils.person_ids import check_person_ids
from mmps.registry import MODELS

from ..memories import MemoryReadout
from ..utils import samples_per_process
from .functional import (
    memory_cross_entropy,
    oim_loss,
    softmax_focal_loss,
    with_margin,
)


@MODELS.register_module()
class OIMLoss(nn.Module):
    """Cross-entropy of the true identity over prototypes and queue.

    The memory is read before the step's update. Unlabelled samples have no
    loss term; with ``unfilled='mask'`` in the memory neither have samples
    whose own prototype is still unfilled. No term at all gives a zero that
    is tied to the graph.

    With ``gamma`` it is the focal OIM of AlignPS and PSTR: a sample's loss
    ``-log p`` becomes ``(1 - p)^gamma (-log p)``.

    Source: Xiao et al., "Joint Detection and Identification Feature Learning
    for Person Search", CVPR 2017, eq. 1 and 3; the focal form is that of
    the published code of AlignPS (CVPR 2021) and PSTR.

    Args:
        temperature: Softmax temperature. Defaults to 1/30.
        margin: ``dict(m1=..., m2=...)``, angular margin on the true
            identity, see :class:`FCLoss`. Defaults to None.
        loss_weight: Factor of the loss. Defaults to 1.0.
        gamma: Exponent of the focal loss; AlignPS has 2. Defaults to None,
            the plain cross-entropy.
        queue_temperature: Of the queue's columns, where it differs from that
            of the prototypes: 1/10 beside 1/15 in AlignPS on PRW. Defaults
            to None, ``temperature``.
        mean_over: 'labelled', the samples that have a loss term, or
            'people', all of them, where unlabelled ones count with 0
            (PSTR, SeqNeXt). Defaults to 'labelled'.

    Raises:
        ValueError: An option is out of range or unknown.
    """

    def __init__(
        self,
        temperature: float = 1 / 30,
        margin: dict | None = None,
        loss_weight: float = 1.0,
        gamma: float | None = None,
        queue_temperature: float | None = None,
        mean_over: Literal['labelled', 'people'] = 'labelled',
    ) -> None:
        super().__init__()
        self.name = type(self).__name__
        if mean_over not in ('labelled', 'people'):
            raise ValueError(
                f"{self.name}: mean_over must be 'labelled' or 'people', got "
                f'{mean_over!r}'
            )
        self.mean_over = mean_over
        for option, value in (
            ('temperature', temperature),
            ('queue_temperature', queue_temperature),
        ):
            if value is not None and not value > 0:
                raise ValueError(
                    f'{self.name}: {option} must be positive, got {value}'
                )
        if gamma is not None and not gamma >= 1:
            raise ValueError(
                f'{self.name}: gamma must be None or at least 1, got {gamma}'
            )
        self.temperature = temperature
        self.queue_temperature = queue_temperature
        self.margin = (
            None if margin is None else _as_margin(self.name, **margin)
        )
        self.loss_weight = loss_weight
        self.gamma = gamma

    @property
    def needs_cosines(self) -> bool:
        """Whether :meth:`sample_losses` reads the cosines of its samples.

        Otherwise the cross-entropy is taken with one array in their place,
        unless the readout is shared.
        """
        return self.margin is not None

    def forward(
        self,
        readout: MemoryReadout,
        person_ids: Tensor,
        avg_factor: float | Tensor | None = None,
        log_variance: Tensor | None = None,
    ) -> Tensor:
        """Loss of one batch.

        Args:
            readout: The memory's answer to the batch's N unit embeddings.
            person_ids: (N,) contiguous ids, -1 for unlabelled.
            avg_factor: Divisor of the sum. None takes the number of samples
                that ``mean_over`` says, averaged over the processes. Defaults
                to None.
            log_variance: (N,) s; a sample's loss l becomes ``exp(-s) l + s``
                (uncertainty guidance). Defaults to None.

        Returns:
            () float32 loss (float64 for float64 embeddings).

        Raises:
            TypeError: ``person_ids`` are not integers.
            ValueError: Wrong shape or, on the CPU, an id above L - 1.
        """
        check_person_ids(self.name, person_ids, len(readout), readout.num_ids)
        # On an accelerator, too, such an id must not hit a queue column.
        person_ids = person_ids.long().masked_fill(
            person_ids >= readout.num_ids, len(readout.rows)
        )
        loss, counted = self._losses_of_labelled(readout, person_ids)
        if log_variance is not None:
            eased = (-log_variance).exp() * loss + log_variance
            loss = eased.masked_fill(~counted, 0)
        if avg_factor is None:
            avg_factor = samples_per_process(
                self.num_averaged(counted), person_ids
            )
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

    def _losses_of_labelled(
        self, readout: MemoryReadout, person_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        # Unlabelled samples need no products, but an accelerator would have
        # to wait for the number of the labelled ones.
        if person_ids.device.type != 'cpu' or readout.shared:
            return self.sample_losses(readout, person_ids)
        rows = (person_ids >= 0).nonzero()[:, 0]
        some, counted = self.sample_losses(
            readout.select(rows), person_ids[rows]
        )
        return (
            some.new_zeros(len(person_ids)).index_copy(0, rows, some),
            counted.new_zeros(len(person_ids)).index_copy(0, rows, counted),
        )

    def sample_losses(
        self, readout: MemoryReadout, person_ids: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Losses of single samples; what a loss of this family overrides.

        On the CPU it is called with the labelled samples alone, unless the
        readout is shared; on other devices with all of them. One that reads
        ``readout.cosine`` says so with :attr:`needs_cosines`.

        Args:
            readout: The memory's answer to N unit embeddings, from before
                the step's update.
            person_ids: (N,) int64, for each sample the row of its own
                prototype, -1 for unlabelled people.

        Returns:
            (N,) losses without ``loss_weight``, at least float32, and the
            (N,) bool mask of the samples that have a loss term: labelled
            ones whose own column takes part (``readout.valid``). Where the
            mask is False the loss is 0.
        """
        temperature = self.column_temperature(readout)
        if self.needs_cosines or readout.shared:
            cosine = readout.cosine
            if self.margin is not None:
                cosine = with_margin(
                    cosine, person_ids, readout.filled, *self.margin
                )
            loss, counted = oim_loss(
                cosine / temperature, person_ids, readout.valid
            )
        else:
            loss, counted = memory_cross_entropy(
                readout.x, readout.rows, person_ids, temperature, readout.valid
            )
        if self.gamma is not None:
            loss = softmax_focal_loss(loss, 1.0, self.gamma)
        return loss, counted

    def column_temperature(self, readout: MemoryReadout) -> float | Tensor:
        """Temperature of the columns: one, or (L + Q,) of each."""
        if self.queue_temperature is None:
            return self.temperature
        each = readout.rows.new_full((len(readout.rows),), self.temperature)
        each[readout.num_ids :] = self.queue_temperature
        return each

    def num_averaged(self, counted: Tensor) -> int | Tensor:
        """How many of the samples the loss is the mean of.

        Args:
            counted: (N,) bool of all samples, see :meth:`sample_losses`.

        Returns:
            The number on this process, as an int or a () tensor.
        """
        return counted.sum() if self.mean_over == 'labelled' else len(counted)


@MODELS.register_module()
class FCLoss(OIMLoss):
    """Feature compactness loss: OIM with an angular margin.

    The true identity's logit is ``cos(m1 theta + m2) / temperature``. With
    m1 < 1 the target is made harder only where theta is below ``m2 / (1 -
    m1)`` (1 rad at the defaults) and easier beyond. ``dict(m1=1, m2=0.5)`` is
    ArcFace, ``dict(m1=1.35, m2=0)`` SphereFace; the released code of IIDFC
    has m2 = 0.003.

    Source: Hou et al., "Improved Instance Discrimination and Feature
    Compactness for End-to-End Person Search" (IIDFC), section 3.

    Args:
        temperature: Softmax temperature. Defaults to 1/30.
        margin: m1 and m2. Defaults to ``dict(m1=0.9, m2=0.1)``.
        loss_weight: Factor of the loss. Defaults to 1.0.
        **kwargs: See :class:`OIMLoss`.

    Raises:
        ValueError: See :class:`OIMLoss`.
    """

    def __init__(
        self,
        temperature: float = 1 / 30,
        margin: dict | None = None,
        loss_weight: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(
            temperature,
            margin or dict(m1=0.9, m2=0.1),
            loss_weight,
            **kwargs,
        )


def _as_margin(
    owner: str, m1: float = 1.0, m2: float = 0.0
) -> tuple[float, float]:
    if not m1 > 0 or not 0 <= m2 < math.pi:
        raise ValueError(
            f'{owner}: margin needs m1 > 0 and 0 <= m2 < pi, got m1={m1}, '
            f'm2={m2}'
        )
    return m1, m2

"""Rules by which labelled embeddings update the identity prototypes."""

import math
from abc import ABCMeta, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmps.registry import MODELS

from .grouping import IdGroups
from .moving_average import (
    MAX_SAMPLES,
    moving_average,
    plain_moving_average,
)

# Largest growth of the unnormalised prototype between two normalisations.
_MAX_GROWTH = 1e12


class BaseUpdateRule(nn.Module, metaclass=ABCMeta):
    """Interface of the rules that move identity prototypes.

    A rule is a module, so buffers that it needs are saved with the memory.

    Attributes:
        needs_ious (bool): Whether it is called with ``ious``.
    """

    needs_ious = False

    @abstractmethod
    def forward(
        self,
        prototypes: Tensor,
        filled: Tensor,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        ious: Tensor | None = None,
    ) -> None:
        """Apply one step's samples in place, in batch order.

        Called without gradient and outside autocast, with the samples of all
        processes in rank order, so the rule must be deterministic.

        Args:
            prototypes: (L, D) unit rows, zero where unfilled; changed.
            filled: (L,) bool; changed.
            x: (N, D) embeddings in the dtype of ``prototypes``, N >= 1.
            person_ids: (N,) int64, the row of each sample's prototype, -1 for
                unlabelled people, who must not act.
            usable: (N,) bool, False where x is zero or not finite; such
                samples must not act.
            ious: (N,) overlap of each sample's box with its person's, where
                ``needs_ious``. Defaults to None.
        """


@MODELS.register_module()
class MomentumUpdate(BaseUpdateRule):
    r"""Moving average of OIM, ``v <- L2(m v + (1 - m) x)``.

    Several samples of one id act one after another in batch order, as in the
    published sequential code; an unfilled row takes its first sample.

    The sequence is evaluated for all ids at once, without normalising in
    between: ``y <- y + (1 - m) / m |y| x`` has the direction of the rule's v
    after every sample, and a zero x leaves y exactly as it is. An accelerator
    evaluates all samples at once, too (:func:`moving_average`).

    Source: Xiao et al., "Joint Detection and Identification Feature Learning
    for Person Search", CVPR 2017, section 3.3.

    Args:
        momentum: Share m of the old prototype, 0 < m < 1. Defaults to 0.5.
        normalise: Whether prototypes are brought back to unit length. If
            not, the rule is ``v <- m v + (1 - m) x`` from the zero row on,
            as in the published code of AlignPS (CUHK-SYSU) and PSTR: a
            prototype is the shorter, and its logits the smaller, the less
            its samples agree. Defaults to True.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(self, momentum: float = 0.5, normalise: bool = True) -> None:
        super().__init__()
        if not 0 < momentum < 1:
            raise ValueError(
                f'MomentumUpdate: momentum must be between 0 and 1 '
                f'(exclusive), got {momentum}'
            )
        self.momentum = momentum
        self.normalise = normalise

    def forward(
        self,
        prototypes: Tensor,
        filled: Tensor,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        ious: Tensor | None = None,
    ) -> None:
        """See :meth:`BaseUpdateRule.forward`."""
        for groups in IdGroups.of_parts(
            x, person_ids, usable, len(prototypes), MAX_SAMPLES
        ):
            if not self.normalise:
                average = plain_moving_average
            else:
                average = self._rounds if groups.on_host else moving_average
            value = average(groups, prototypes, self.momentum)
            groups.write(prototypes, filled, value.to(prototypes.dtype))

    @staticmethod
    def _rounds(
        groups: IdGroups, prototypes: Tensor, momentum: float
    ) -> Tensor:
        """(G, D) prototypes, by the r-th samples of all ids in turn."""
        ratio = (1 - momentum) / momentum
        stride = max(1, int(math.log(_MAX_GROWTH) / math.log1p(ratio)))
        y = prototypes.index_select(0, groups.rows)
        for i, (sample, _) in enumerate(groups.rounds(), 1):
            norm = torch.linalg.vector_norm(y, dim=1, keepdim=True)
            # Of a zero row (unfilled, cancelled out) only x remains.
            y.addcmul_(sample, norm + (norm == 0), value=ratio)
            if i % stride == 0:
                y = F.normalize(y)
        return F.normalize(y)

    def extra_repr(self) -> str:
        """Options shown by ``print``."""
        return f'momentum={self.momentum}, normalise={self.normalise}'


@MODELS.register_module()
class AdaptiveMomentumUpdate(BaseUpdateRule):
    r"""Momentum by how far a sample is from the nearest other identity (AMU).

    ``v <- L2((1 - a) v + a x)`` with q the other filled prototype that is
    most similar to v. The paper says two things of the share a:

    * ``'equation'`` (eq. 8): ``a = sigmoid((v x - v_q x) / temperature)``; a
      sample that looks like the rival moves v little.
    * ``'text'`` (the sentence before it): ``a = sigmoid((v v_q - v x) /
      temperature)``; a prototype that is nearer to the rival than to the
      sample gives way.

    Several samples of one id act one after another; q, and v_q, are those
    before the step. An unfilled row takes its first sample; without a rival,
    also in the step that fills a row, a = 0.5.

    Source: Kim et al., "Prototype-Guided Saliency Feature Learning for Person
    Search" (PGSFL), CVPR 2021, eq. 7 and 8.

    Args:
        temperature: Of the sigmoid. Defaults to 0.05.
        reading: Of the share, 'equation' or 'text'. Defaults to 'equation'.
        max_repeats: Rounds on an accelerator, where the largest number of
            samples of one id in the step is not known to the host. An id
            with more samples starts from its last ``max_repeats``; what is
            left out may matter, if later samples weigh next to nothing.
            Defaults to None: exact, one synchronisation per step. The CPU
            is always exact.

    Raises:
        ValueError: An argument is out of range.
    """

    def __init__(
        self,
        temperature: float = 0.05,
        reading: Literal['equation', 'text'] = 'equation',
        max_repeats: int | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(
                'AdaptiveMomentumUpdate: temperature must be positive, got '
                f'{temperature}'
            )
        if reading not in ('equation', 'text'):
            raise ValueError(
                "AdaptiveMomentumUpdate: reading must be 'equation' or "
                f"'text', got {reading!r}"
            )
        _check_max_repeats(type(self).__name__, max_repeats)
        self.temperature = temperature
        self.reading = reading
        self.max_repeats = max_repeats

    def forward(
        self,
        prototypes: Tensor,
        filled: Tensor,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        ious: Tensor | None = None,
    ) -> None:
        """See :meth:`BaseUpdateRule.forward`."""
        groups = IdGroups(
            x, person_ids, usable, len(prototypes), self.max_repeats
        )
        v = prototypes.index_select(0, groups.rows)
        rival, has_rival = self._rivals(prototypes, filled, v, groups.rows)
        for sample, active in groups.rounds():
            if self.reading == 'equation':
                gap = ((v - rival) * sample).sum(1, keepdim=True)
            else:
                gap = ((rival - sample) * v).sum(1, keepdim=True)
            share = (gap / self.temperature).sigmoid()
            share = torch.where(has_rival, share, 0.5)
            moved = F.normalize(torch.lerp(v, sample, share))
            # Of a zero row only the sample remains.
            moved = torch.where(v.any(1, keepdim=True), moved, sample)
            v = torch.where(active, moved, v)
        groups.write(prototypes, filled, v)

    @staticmethod
    def _rivals(
        prototypes: Tensor, filled: Tensor, v: Tensor, rows: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(G, D) rows v_q, zero without one, and the (G, 1) mask of those."""
        other = filled.expand(len(v), -1).scatter(1, rows[:, None], False)
        similar = (v @ prototypes.T).masked_fill(~other, -torch.inf)
        has_rival = other.any(1, keepdim=True) & v.any(1, keepdim=True)
        rival = prototypes.index_select(0, similar.argmax(1))
        return rival * has_rival, has_rival

    def extra_repr(self) -> str:
        """Options shown by ``print``."""
        return (
            f'temperature={self.temperature}, reading={self.reading!r}, '
            f'max_repeats={self.max_repeats}'
        )


@MODELS.register_module()
class LocalizationAwareUpdate(BaseUpdateRule):
    r"""Moving average with the share of a sample by its box (LOIM).

    ``v <- L2((1 - s) v + s x)`` with s the IoU of the sample's box and its
    person's, clamped: a well placed box says more. Several samples of one id
    act one after another; an unfilled row takes its first sample.

    Source: Lee et al., "OIMNet++: Prototypical Normalization and
    Localization-aware Learning for Person Search", ECCV 2022, section 3.3;
    the bounds are those of the published code.

    Args:
        low: Least share. Defaults to 0.7.
        high: Greatest share, 1 - epsilon; a ground-truth box has it.
            Defaults to 0.9.
        max_repeats: As of :class:`AdaptiveMomentumUpdate`. Defaults to None.

    Raises:
        ValueError: An argument is out of range.
    """

    needs_ious = True

    def __init__(
        self,
        low: float = 0.7,
        high: float = 0.9,
        max_repeats: int | None = None,
    ) -> None:
        super().__init__()
        if not 0 < low <= high < 1:
            raise ValueError(
                'LocalizationAwareUpdate: expected 0 < low <= high < 1, got '
                f'low={low}, high={high}'
            )
        _check_max_repeats(type(self).__name__, max_repeats)
        self.low, self.high = low, high
        self.max_repeats = max_repeats

    def forward(
        self,
        prototypes: Tensor,
        filled: Tensor,
        x: Tensor,
        person_ids: Tensor,
        usable: Tensor,
        ious: Tensor | None = None,
    ) -> None:
        """See :meth:`BaseUpdateRule.forward`."""
        share = ious.to(x).clamp(self.low, self.high)
        groups = IdGroups(
            torch.cat((x, share[:, None]), 1),
            person_ids,
            usable,
            len(prototypes),
            self.max_repeats,
        )
        v = prototypes.index_select(0, groups.rows)
        for sample, active in groups.rounds():
            moved = torch.lerp(v, sample[:, :-1], sample[:, -1:])
            v = torch.where(active, F.normalize(moved), v)
        groups.write(prototypes, filled, v)

    def extra_repr(self) -> str:
        """Options shown by ``print``."""
        return (
            f'low={self.low}, high={self.high}, max_repeats={self.max_repeats}'
        )


def _check_max_repeats(owner: str, max_repeats: int | None) -> None:
    if max_repeats is not None and max_repeats < 1:
        raise ValueError(
            f'{owner}: max_repeats must be None or at least 1, got '
            f'{max_repeats}'
        )

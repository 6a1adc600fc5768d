"""Decompositions of RoI maps into the features of the detection tasks.

Source: Yang et al., "Multi-task Feature Decomposition based Marginal
Distribution for Person Search" (FDPS), section 3.2 and Table 1.
"""

from abc import ABCMeta, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from mmps.registry import MODELS


class BoxFeatures(NamedTuple):
    """One vector per RoI and task.

    Attributes:
        cls: (N, ...) for person or background; None after ``drop_cls`` where
            it would take parameters.
        vertical: (N, ...) for the centre's y and the height, (dy, dh).
        horizontal: (N, ...) for the centre's x and the width, (dx, dw).
    """

    cls: Tensor | None
    vertical: Tensor
    horizontal: Tensor


class BaseDecomposition(nn.Module, metaclass=ABCMeta):
    """Interface of the decompositions of a :class:`SearchBBoxHead`.

    Args:
        in_channels: C of the maps.
        size: Their h and w.

    Attributes:
        channels (BoxFeatures): Sizes of the three features (integers).
    """

    def __init__(self, in_channels: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.size = tuple(size)
        self.channels = self._channels(in_channels, *self.size)

    @staticmethod
    @abstractmethod
    def _channels(c: int, h: int, w: int) -> BoxFeatures:
        """Sizes of the three features of (N, c, h, w) maps."""

    @abstractmethod
    def forward(self, x: Tensor) -> BoxFeatures:
        """From maps to the features of the three tasks.

        Args:
            x: (N, C, h, w) maps of RoIs.

        Returns:
            (N, channels.cls), (N, channels.vertical) and (N,
            channels.horizontal); the first may be None after
            :meth:`drop_cls`.
        """

    def drop_cls(self) -> None:
        """Remove the parameters of ``cls``, which will not be read."""


@MODELS.register_module()
class SharedPooling(BaseDecomposition):
    """One pooled vector for all tasks ("OIM-base" of Table 1).

    Args:
        in_channels: C.
        size: h, w.
        mode: 'max' or 'mean'. Defaults to 'max'.

    Raises:
        ValueError: ``mode`` is unknown.
    """

    def __init__(
        self, in_channels: int, size: tuple[int, int], mode: str = 'max'
    ) -> None:
        super().__init__(in_channels, size)
        if mode not in ('max', 'mean'):
            raise ValueError(
                f"SharedPooling: mode must be 'max' or 'mean', got {mode!r}"
            )
        self.mode = mode

    @staticmethod
    def _channels(c: int, h: int, w: int) -> BoxFeatures:
        return BoxFeatures(c, c, c)

    def forward(self, x: Tensor) -> BoxFeatures:
        """See :meth:`BaseDecomposition.forward`."""
        x = x.flatten(2)
        x = x.amax(2) if self.mode == 'max' else x.mean(2)
        return BoxFeatures(x, x, x)


@MODELS.register_module()
class FlattenDecomposition(BaseDecomposition):
    """The whole map as one vector for all tasks ("Flatten").

    Args:
        in_channels: C.
        size: h, w.
    """

    @staticmethod
    def _channels(c: int, h: int, w: int) -> BoxFeatures:
        return BoxFeatures(c * h * w, c * h * w, c * h * w)

    def forward(self, x: Tensor) -> BoxFeatures:
        """See :meth:`BaseDecomposition.forward`."""
        x = x.flatten(1)
        return BoxFeatures(x, x, x)


@MODELS.register_module()
class ParameterDecomposition(BaseDecomposition):
    """The shapes of :class:`MarginalDecomposition` by learned weights.

    1 x 1 convolutions in which the positions that are to vanish stand for
    channels; every channel of the map has weights of its own. They start as
    the mean ("Parameter-base").

    Args:
        in_channels: C.
        size: h, w.
    """

    def __init__(self, in_channels: int, size: tuple[int, int]) -> None:
        super().__init__(in_channels, size)
        c, (h, w) = in_channels, self.size
        self.over_x = nn.Conv1d(c * w, c, 1, groups=c)
        self.over_y = nn.Conv1d(c * h, c, 1, groups=c)
        self.over_both = nn.Conv1d(c * h * w, c, 1, groups=c)
        for conv in (self.over_x, self.over_y, self.over_both):
            nn.init.constant_(conv.weight, 1 / conv.weight.size(1))
            nn.init.zeros_(conv.bias)

    @staticmethod
    def _channels(c: int, h: int, w: int) -> BoxFeatures:
        return BoxFeatures(c, c * h, c * w)

    def drop_cls(self) -> None:
        """See :meth:`BaseDecomposition.drop_cls`."""
        self.over_both = None

    def forward(self, x: Tensor) -> BoxFeatures:
        """See :meth:`BaseDecomposition.forward`."""
        rows = x.transpose(2, 3).flatten(1, 2)
        both = None
        if self.over_both is not None:
            both = self.over_both(x.flatten(1)[:, :, None]).flatten(1)
        return BoxFeatures(
            both,
            self.over_x(rows).flatten(1),
            self.over_y(x.flatten(1, 2)).flatten(1),
        )


@MODELS.register_module()
class MarginalDecomposition(BaseDecomposition):
    """Means over x, over y and over both (FDPS, eq. 2, 3 and 5).

    Without parameters: the map is read as a joint distribution, and each task
    gets the marginal along its own axis.

    Args:
        in_channels: C.
        size: h, w.
    """

    @staticmethod
    def _channels(c: int, h: int, w: int) -> BoxFeatures:
        return BoxFeatures(c, c * h, c * w)

    def forward(self, x: Tensor) -> BoxFeatures:
        """See :meth:`BaseDecomposition.forward`."""
        over_x = x.mean(3)
        return BoxFeatures(
            over_x.mean(2), over_x.flatten(1), x.mean(2).flatten(1)
        )


def interleave(vertical: Tensor, horizontal: Tensor) -> Tensor:
    """(N, 2) of (dy, dh) and (N, 2) of (dx, dw) to (N, 4) dx, dy, dw, dh."""
    return torch.stack((horizontal, vertical), 2).flatten(1)

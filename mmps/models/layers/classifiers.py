"""Classifiers of RoIs: person or background."""

from abc import ABCMeta, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmps.registry import MODELS

from ..losses.functional import person_logits
from .batch_norm import batch_norm
from .reid_features import ReIDFeatures


class BaseClassifier(nn.Module, metaclass=ABCMeta):
    """Interface of the classifiers of a :class:`SearchBBoxHead`.

    The head builds it with ``in_channels``, the size of the decomposition's
    feature for classification; a classifier that does not read the feature
    ignores it.

    Attributes:
        needs_reid (bool): Whether it reads :class:`ReIDFeatures`, which only
            the last stage has, and not the box head's feature.
        needs_readout (bool): Whether the memory has to answer for all RoIs
            (``ReIDFeatures.readout``), not for people alone.
        needs_background (bool): Whether the memory needs a background queue.
        pixelwise (bool): Whether its loss is :meth:`SearchBBoxHead.pixel_loss`
            in the place of ``loss_cls``.
    """

    needs_reid = False
    needs_readout = False
    needs_background = False
    pixelwise = False

    @abstractmethod
    def forward(self, x: Tensor | None, reid: ReIDFeatures | None) -> Tensor:
        """Logits of RoIs.

        Args:
            x: (N, C) feature of the decomposition; None with ``needs_reid``
                where it would take parameters.
            reid: Of the same N RoIs; None without ``needs_reid``.

        Returns:
            (N, 2) logits of a softmax, person first.
        """


@MODELS.register_module()
class LinearClassifier(BaseClassifier):
    """A linear layer on the box head's feature.

    Args:
        in_channels: Of the feature.
        one_logit: The layer gives the person's logit alone and the
            background's is 0, so that the softmax of both is a sigmoid and
            its cross-entropy the binary one (SeqNeXt's second head).
            Defaults to False.
    """

    def __init__(self, in_channels: int, one_logit: bool = False) -> None:
        super().__init__()
        self.fc = nn.Linear(in_channels, 1 if one_logit else 2)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor, reid: ReIDFeatures | None) -> Tensor:
        """See :meth:`BaseClassifier.forward`."""
        logits = self.fc(x)
        if self.fc.out_features == 1:
            return F.pad(logits, (0, 1))
        return logits


@MODELS.register_module()
class NormClassifier(BaseClassifier):
    """The embedding's length, through batch norm, is the person's logit.

    The background's is 0, so that the softmax of both is the sigmoid of the
    first and its cross-entropy the binary one.

    Source: Chen et al., "Norm-Aware Embedding for Efficient Person Search"
    (NAE), CVPR 2020, eq. 2 and 3.

    Args:
        in_channels: Not needed; every classifier takes it.
    """

    needs_reid = True

    def __init__(self, in_channels: int | None = None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)

    def forward(self, x: Tensor | None, reid: ReIDFeatures) -> Tensor:
        """See :meth:`BaseClassifier.forward`; mu has no sampling noise."""
        length = torch.linalg.vector_norm(reid.mean, dim=1)
        logit = batch_norm(self.norm, length[:, None])
        return torch.cat((logit, torch.zeros_like(logit)), 1)


@MODELS.register_module()
class PixelNormClassifier(BaseClassifier):
    """The mean over positions of NAE+'s weights is the person's score.

    In training every position is told person from background by the ground
    truth box (:meth:`SearchBBoxHead.pixel_loss`). At test the RoI head divides
    the score by the greatest of the image.

    Source: Chen et al., "Norm-Aware Embedding for Efficient Person Search",
    CVPR 2020, section 3.3.

    Args:
        in_channels: Not needed; every classifier takes it.
    """

    needs_reid = True
    pixelwise = True

    def __init__(self, in_channels: int | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor | None, reid: ReIDFeatures) -> Tensor:
        """See :meth:`BaseClassifier.forward`; the softmax is the mean."""
        score = reid.attention.sigmoid().flatten(1).mean(1)
        logit = torch.logit(score, eps=1e-6)[:, None]
        return torch.cat((logit, torch.zeros_like(logit)), 1)


@MODELS.register_module()
class MemoryClassifier(BaseClassifier):
    """The identity memory tells people from background (HOIM).

    See :func:`person_logits`; the memory needs a background queue, and is
    part of the model in testing as well.

    Source: Chen et al., "Hierarchical Online Instance Matching for Person
    Search" (HOIM), AAAI 2020.

    Args:
        in_channels: Not needed; every classifier takes it.
        temperature: Of the softmax, as of the re-id loss. Defaults to 1/30.
    """

    needs_reid = True
    needs_readout = True
    needs_background = True

    def __init__(
        self, in_channels: int | None = None, temperature: float = 1 / 30
    ) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, x: Tensor | None, reid: ReIDFeatures) -> Tensor:
        """See :meth:`BaseClassifier.forward`."""
        readout = reid.readout
        return person_logits(
            readout.cosine,
            readout.valid,
            readout.background,
            readout.background_valid,
            self.temperature,
        )

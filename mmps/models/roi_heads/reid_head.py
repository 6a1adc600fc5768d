"""The re-identification head of RoIs."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor

from mmps.registry import MODELS

from ..layers.reid_features import ReIDFeatures
from ..memories import MemoryReadout, needs_cosines
from ..utils.precision import precise


@MODELS.register_module()
class ReIDHead(BaseModule):
    """Embeddings of RoIs, their memory and losses.

    Pooling, projection, memory, its rules, loss and uncertainty are parts of
    their own; any combination that makes sense works, and one that does not
    is refused with the reason.

    Args:
        pooling (dict, optional): From maps to vectors. Defaults to
            ``dict(type='mmps.MaxPooling')``.
        projection (dict, optional): From the RoI's features to the
            embedding. Defaults to ``dict(type='mmps.LinearProjection')``.
        memory (dict, optional): Defaults to
            ``dict(type='mmps.IdentityMemory')``.
        loss_reid (dict, optional): A loss on the memory's readout. Defaults
            to ``dict(type='mmps.OIMLoss')``.
        loss_attention (dict, optional): A loss on the pooling's attention,
            such as :class:`PrototypeGuidanceLoss`. Defaults to None.
        uncertainty (dict, optional): :class:`UncertaintyGuidance`; its
            ``in_channels`` and ``embed_dims`` are those of the projection.
            Defaults to None.
        id_classifier (dict, optional): :class:`IdentityClassifier`, a
            second loss on the embeddings; its ``embed_dims`` are those of
            the projection. Defaults to None.

    Raises:
        ValueError: Two parts do not go together.
    """

    def __init__(
        self,
        pooling: dict | None = None,
        projection: dict | None = None,
        memory: dict | None = None,
        loss_reid: dict | None = None,
        loss_attention: dict | None = None,
        uncertainty: dict | None = None,
        id_classifier: dict | None = None,
    ) -> None:
        super().__init__()
        self.projection = MODELS.build(
            projection or dict(type='mmps.LinearProjection')
        )
        self.embed_dims = self.projection.embed_dims
        self.pooling = MODELS.build(pooling or dict(type='mmps.MaxPooling'))
        self.memory = MODELS.build(
            {
                'type': 'mmps.IdentityMemory',
                'embed_dims': self.embed_dims,
                **(memory or {}),
            }
        )
        self.loss_reid = MODELS.build(loss_reid or dict(type='mmps.OIMLoss'))
        self.loss_attention = None
        if loss_attention is not None:
            self.loss_attention = MODELS.build(loss_attention)
        self.uncertainty = None
        if uncertainty is not None:
            self.uncertainty = MODELS.build(
                {
                    'type': 'mmps.UncertaintyGuidance',
                    'in_channels': self.projection.in_channels,
                    'embed_dims': self.embed_dims,
                    **uncertainty,
                }
            )
        self.id_classifier = None
        if id_classifier is not None:
            self.id_classifier = MODELS.build(
                {
                    'type': 'mmps.IdentityClassifier',
                    'embed_dims': self.embed_dims,
                    **id_classifier,
                }
            )
        self._check_parts()

    def _check_parts(self) -> None:
        pooling = type(self.pooling).__name__
        if self.pooling.projected and self.uncertainty is not None:
            raise ValueError(
                f'ReIDHead: pooling {pooling} comes after the projection, but '
                'UncertaintyGuidance reads pooled features before it; use '
                'MaxPooling or MeanPooling'
            )
        if self.loss_attention is not None and not hasattr(
            self.pooling, 'attention'
        ):
            raise ValueError(
                'ReIDHead: loss_attention '
                f'{type(self.loss_attention).__name__} needs a pooling with '
                f'an attention map, {pooling} has none; use '
                'PrototypeGuidedAttention'
            )

    @property
    def num_levels(self) -> int:
        """How many of the RoI's maps the projection reads."""
        return len(self.projection.in_channels)

    def forward(
        self, maps: Sequence[Tensor], with_readout: bool = False
    ) -> ReIDFeatures:
        """RoI maps to embeddings.

        Args:
            maps: (N, C, H, W) of the RoIs, before and after the shared head;
                the projection reads the last ones.
            with_readout: Compare all RoIs with the memory, for a classifier
                that shares the cosines with the loss. Defaults to False.

        Returns:
            ReIDFeatures: See there.
        """
        maps = maps[-self.num_levels :]
        log_variance = attention = projected = None
        if self.pooling.projected:
            projected = self.projection(maps)
            mean, attention = self.pooling(projected)
        else:
            pooled = [self.pooling(x)[0] for x in maps]
            mean = self.projection(pooled)
            if self.training and self.uncertainty is not None:
                log_variance = self.uncertainty(pooled)
        mean = precise(mean)
        embeddings = sampled = F.normalize(mean, dim=1)
        if log_variance is not None and self.uncertainty.mode == 'sample':
            drawn = self.uncertainty.sample(embeddings, log_variance)
            sampled = F.normalize(drawn, dim=1)
        return ReIDFeatures(
            mean,
            embeddings,
            sampled,
            log_variance,
            attention,
            projected,
            # Sampling noise must not enter detection.
            self.memory(embeddings, shared=True) if with_readout else None,
        )

    def read(
        self, features: ReIDFeatures, people: Tensor, shared: bool = False
    ) -> MemoryReadout:
        """Compare some RoIs with the memory as it stands.

        Args:
            features: Of N RoIs.
            people: (P,) indices of those that are people.
            shared: Whether a part outside this head needs the cosines, see
                :class:`MemoryReadout`. Defaults to False.

        Returns:
            The readout of P samples; with uncertainty guidance of the drawn
            embeddings.
        """
        sampled = features.sampled is not features.embeddings
        if sampled or features.readout is None:
            shared = shared or needs_cosines(self.loss_attention)
            return self.memory(features.sampled[people], shared)
        return features.readout.select(people)

    def loss(
        self,
        features: ReIDFeatures,
        people: Tensor,
        person_ids: Tensor,
        readout: MemoryReadout,
        background: Tensor | None = None,
        ious: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Losses of people; then the memory is updated.

        Args:
            features: Of N RoIs.
            people: (P,) indices of the RoIs that are people.
            person_ids: (P,) their contiguous ids, -1 for unlabelled.
            readout: The memory's answer to the people (:meth:`read`).
            background: (M,) indices of the RoIs that are background, for a
                memory with a queue of them. Defaults to None.
            ious: (P,) overlap of the people's RoIs with their annotated
                boxes, for a memory that needs them. Defaults to None.

        Returns:
            ``loss_reid``, and ``loss_kl``, ``loss_id`` and
            ``loss_attention`` where configured.
        """
        losses, attenuated = {}, {}
        if features.log_variance is not None:
            log_variance = features.log_variance[people]
            if self.uncertainty.loss_kl is not None:
                losses['loss_kl'] = self.uncertainty.divergence(
                    features.embeddings[people], log_variance
                )
            if self.uncertainty.mode == 'attenuate':
                attenuated['log_variance'] = log_variance.mean(1)
        losses['loss_reid'] = self.loss_reid(readout, person_ids, **attenuated)
        if self.id_classifier is not None:
            losses['loss_id'] = self.id_classifier.loss(
                readout.x, person_ids, readout.num_ids
            )
        if self.loss_attention is not None:
            losses['loss_attention'] = self.loss_attention(
                features.attention[people],
                features.map[people],
                readout,
                person_ids,
            )
        vectors = features.embeddings.detach()
        self.memory.update(
            vectors[people],
            person_ids,
            None if background is None else vectors[background],
            ious,
        )
        return losses

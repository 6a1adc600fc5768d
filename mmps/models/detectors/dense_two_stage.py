"""A detector that finds people densely and embeds them twice."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import SampleList
from mmdet.utils import ConfigType, InstanceList, OptConfigType
from torch import Tensor, nn

from mmps.registry import MODELS

from ..dense_heads import DensePredictionMixin
from ..dense_heads.dense_prediction import nearest
from ..roi_heads import SearchRoIHead
from ..roi_heads.roi_prediction import combine
from ..utils import boxes_in_input, to_original_size

_CHOICES = ('concat', 'mean', 'dense', 'roi')
_SECTIONS = {'dense', 'rpn', 'rcnn', 'embedding'}


@MODELS.register_module()
class DenseTwoStageDetector(TwoStageDetector):
    """A dense head and a RoI head on one backbone (ROI-AlignPS).

    The dense head, on the neck's levels, finds people and embeds them; the
    RoI head, on levels of the backbone, embeds the same boxes once more. A
    person is searched by both embeddings. The RPN serves training only.

    Source: Yan et al., "Efficient Person Search: An Anchor-Free Approach".

    Args:
        bbox_head (dict): AlignPSHead or another head with a
            :class:`DensePredictionMixin`, on the neck's levels.
        rpn_head (dict): Proposals for the training of the RoI head.
        roi_head (dict): :class:`SearchRoIHead`.
        roi_levels (Sequence[int]): Which of the backbone's outputs the RPN
            and the RoI head read. Defaults to (2,), C4 of four.
        loss_mutual (dict, optional): :class:`MutualInformationLoss` on the
            embeddings of the people of both heads. Defaults to None.
        train_cfg (dict): ``dense`` of the dense head (FCOS needs none), and
            mmdet's ``rpn``, ``rpn_proposal`` and ``rcnn``.
        test_cfg (dict): ``dense``, which decides what is found, ``rpn`` and
            ``rcnn``, whose thresholds are not read, and ``embedding``, what
            is searched by: 'concat' of both unit vectors / sqrt 2,
            their 'mean' as a unit vector, or that of the 'dense' or the
            'roi' head alone. Defaults to 'concat'.
        **kwargs: See mmdet's TwoStageDetector.

    Raises:
        ValueError: Parts or options do not go together; the message says
            why.
    """

    def __init__(
        self,
        bbox_head: ConfigType,
        rpn_head: ConfigType,
        roi_head: ConfigType,
        roi_levels: Sequence[int] = (2,),
        loss_mutual: OptConfigType = None,
        train_cfg: OptConfigType = None,
        test_cfg: OptConfigType = None,
        **kwargs,
    ) -> None:
        super().__init__(
            rpn_head=rpn_head,
            roi_head=roi_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            **kwargs,
        )
        self.bbox_head = MODELS.build(
            dict(
                bbox_head,
                train_cfg=(train_cfg or {}).get('dense'),
                test_cfg=test_cfg['dense'],
            )
        )
        self.roi_levels = tuple(roi_levels)
        self.loss_mutual = MODELS.build(loss_mutual) if loss_mutual else None
        self.embedding = test_cfg.get('embedding', 'concat')
        self._check_parts()
        self._check_options(test_cfg)

    def _check_parts(self) -> None:
        for head, kind in (
            (self.bbox_head, DensePredictionMixin),
            (self.roi_head, SearchRoIHead),
        ):
            if not isinstance(head, kind):
                raise ValueError(
                    f'DenseTwoStageDetector: {type(head).__name__} is no '
                    f'{kind.__name__}, and cannot embed the people of both '
                    'heads'
                )

    def _check_options(self, test_cfg: ConfigType) -> None:
        if unknown := sorted(set(test_cfg) - _SECTIONS):
            raise ValueError(
                f'DenseTwoStageDetector: test_cfg.{unknown[0]} says nothing '
                f'here; expected {sorted(_SECTIONS)}'
            )
        if test_cfg.get('rcnn', {}).get('use_gt_boxes', False):
            raise ValueError(
                'DenseTwoStageDetector: test_cfg.rcnn.use_gt_boxes says '
                'nothing here: the dense head finds the people; set '
                'test_cfg.dense.use_gt_boxes'
            )
        if self.embedding not in _CHOICES:
            raise ValueError(
                'DenseTwoStageDetector: test_cfg.embedding must be one of '
                f'{_CHOICES}, got {self.embedding!r}'
            )
        heads = self.roi_head.reid_head, self.bbox_head
        dims = [head.memory.embed_dims for head in heads]
        if self.embedding == 'mean' and dims[0] != dims[1]:
            raise ValueError(
                "DenseTwoStageDetector: test_cfg.embedding='mean' needs "
                f'embeddings of one size, but those of the RoI head have '
                f"{dims[0]} values and the dense head's {dims[1]}; use "
                "'concat'"
            )
        if self.roi_head.gallery_filter and self.embedding == 'dense':
            raise ValueError(
                'DenseTwoStageDetector: gallery_filter compares scenes with '
                "embeddings of the RoI head, which test_cfg.embedding='dense' "
                'does not make; use another one'
            )
        rcnn = self.roi_head.test_cfg
        for name, value in (
            ('confidence_weighted', False),
            ('unit_queries', True),
        ):
            if rcnn.get(name, value) != value:
                raise ValueError(
                    f'DenseTwoStageDetector: test_cfg.rcnn.{name}={not value} '
                    'changes the length of one of two embeddings that are '
                    'combined as unit vectors; leave it out'
                )

    def extract_feat(self, batch_inputs: Tensor) -> tuple[tuple, tuple]:
        """Images (N, 3, H, W) to the levels of the RoI and the dense head."""
        x = self.backbone(batch_inputs)
        dense = self.neck(x) if self.with_neck else x
        return tuple(x[i] for i in self.roi_levels), tuple(dense)

    def loss(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> dict:
        """Losses of the RPN and both heads.

        Args:
            batch_inputs: (N, 3, H, W).
            batch_data_samples: With ``person_ids`` (n,) in the ground truth.

        Returns:
            Those of the dense head behind ``dense.``, and
            ``loss_mutual`` where configured.
        """
        roi_levels, dense_levels = self.extract_feat(batch_inputs)
        losses, proposals = self.rpn_head.loss_and_predict(
            roi_levels,
            batch_data_samples,
            proposal_cfg=self.train_cfg.rpn_proposal,
        )
        with _people(self.roi_head.reid_head.loss_reid) as of_rois:
            losses.update(
                self.roi_head.loss(roi_levels, proposals, batch_data_samples)
            )
        with _people(self.bbox_head.loss_reid) as of_dense:
            dense = self.bbox_head.loss(dense_levels, batch_data_samples)
        losses.update({f'dense.{name}': loss for name, loss in dense.items()})
        if self.loss_mutual is not None:
            losses['loss_mutual'] = self.loss_mutual(*of_rois, *of_dense)
        return losses

    def predict(
        self,
        batch_inputs: Tensor,
        batch_data_samples: SampleList,
        rescale: bool = True,
    ) -> SampleList:
        """Detect people and embed them, and the query boxes, in one pass.

        Args:
            batch_inputs: (N, 3, H, W).
            batch_data_samples: With ``query_instances.bboxes`` (q, 4),
                original pixels, where a frame has queries; their unit
                ``embeddings`` (q, D) are written beside them.
            rescale: Boxes in original pixels. Defaults to True.

        Returns:
            The samples, with ``pred_instances``, which have ``bboxes``,
            ``scores``, ``labels`` and unit ``embeddings`` (n, D).
        """
        roi_levels, dense_levels = self.extract_feat(batch_inputs)
        found = self.bbox_head.predict(dense_levels, batch_data_samples)
        if self.embedding != 'dense':
            dense = _embeddings(found, batch_data_samples)
            self.roi_head.embed_boxes(roi_levels, found, batch_data_samples)
            rois = _embeddings(found, batch_data_samples)
            self._combine(found, batch_data_samples, dense, rois)
        if rescale:
            to_original_size(found, batch_data_samples)
        return self.add_pred_to_datasample(batch_data_samples, found)

    def _combine(
        self,
        found: InstanceList,
        samples: SampleList,
        dense: list[Tensor],
        rois: list[Tensor],
    ) -> None:
        """Write one embedding in the place of two."""
        for result, sample, *both in zip(
            found, samples, dense, rois, strict=True
        ):
            embeddings = self.combine(both)
            num = len(result)
            result.embeddings = embeddings[:num]
            if 'query_instances' not in sample:
                continue
            queries = embeddings[num:]
            if self.bbox_head.query_from_detections and num:
                boxes = boxes_in_input(
                    sample, 'query_instances', result.bboxes
                )
                queries = embeddings[nearest(boxes, result.bboxes)]
            sample.query_instances.embeddings = queries

    def combine(self, embeddings: Sequence[Tensor]) -> Tensor:
        """The embeddings of the dense and the RoI head (n, D), as one."""
        how = {'dense': 'first', 'roi': 'last'}
        return combine(embeddings, how.get(self.embedding, self.embedding))

    def _forward(
        self, batch_inputs: Tensor, batch_data_samples: SampleList
    ) -> tuple:
        """Raw outputs of both heads, the RoI head's on the people found."""
        roi_levels, dense_levels = self.extract_feat(batch_inputs)
        found = self.bbox_head.predict(dense_levels, batch_data_samples)
        return (
            *self.bbox_head(dense_levels),
            *self.roi_head(roi_levels, found, batch_data_samples),
        )


@contextmanager
def _people(loss_reid: nn.Module) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """What a re-id loss is given meanwhile: embeddings and person ids."""
    seen = []
    hook = loss_reid.register_forward_pre_hook(
        lambda _, args: seen.append((args[0].x, args[1]))
    )
    try:
        yield seen
    finally:
        hook.remove()


def _embeddings(found: InstanceList, samples: SampleList) -> list[Tensor]:
    """Per image those of the detections, and behind them of its queries."""
    return [
        torch.cat((result.embeddings, sample.query_instances.embeddings))
        if 'query_instances' in sample
        else result.embeddings
        for result, sample in zip(found, samples, strict=True)
    ]

"""Prediction of dense heads that embed the people they find."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox_overlaps, cat_boxes
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ..layers.batch_norm import batch_norm
from ..utils import boxes_in_input, to_original_size
from ..utils.precision import precise
from .search_boxes import (
    average_neighbours,
    flatten_maps,
    query_from_detections,
)


class DensePredictionMixin:
    """Detections, their embeddings and those of query boxes in one pass.

    For a one-class mmdet head, with anchors or points as priors, whose
    forward gives scores, deltas, F_reid and what else :meth:`dense_outputs`
    reads, with ``reid_norm`` (a norm or None) and ``inclusive_boxes``.

    ``test_cfg`` takes, beside mmdet's keys:

    * ``use_gt_boxes``: annotated boxes as the gallery, the upper bound;
      default False;
    * ``average_iou_thr`` and ``query_average_iou_thr``: f' is averaged over
      the boxes before NMS that overlap a detection, or all that overlap a
      query, that much: 0.6 and 0.5 in the release; default None, the box's
      own location;
    * ``average_skip``: so many of the boxes before NMS, those that overlap a
      detection least, are left out of its average: 31 in the release, which
      with 32 of them or fewer averages nothing; default 0;
    * ``query_from``: 'locations' gives a query the feature of the location,
      of all there are, whose decoded box fits it best; 'detections' that of
      the detection that fits best, as published code without a query pass
      does, or of the location where nobody is detected; default
      'locations';
    * ``return_points``: add the sampled ``points`` (n, K, 2) of detections
      to the results, for pictures; default False.
    """

    def predict(
        self,
        x: Sequence[Tensor],
        batch_data_samples: SampleList,
        rescale: bool = False,
    ) -> InstanceList:
        """Detect people and embed them, and the query boxes, in one pass.

        Args:
            x (Sequence[Tensor]): Per level (N, C, H, W).
            batch_data_samples (list[DetDataSample]): With
                ``query_instances.bboxes`` (q, 4), original pixels, where a
                frame has queries; their unit ``embeddings`` (q, D) are
                written beside them.
            rescale (bool): Boxes in original pixels. Defaults to False.

        Returns:
            list[InstanceData]: Per image ``bboxes``, ``scores``, ``labels``
            and unit ``embeddings`` (n, D).
        """
        outs = self(x)
        results = self.predict_by_feat(
            *outs, batch_data_samples=batch_data_samples
        )
        if rescale:
            to_original_size(results, batch_data_samples)
        return results

    def predict_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        feats: list[Tensor],
        *others: list[Tensor] | None,
        batch_data_samples: SampleList,
    ) -> InstanceList:
        """Outputs of ``forward`` to results in input pixels.

        Embeddings of query boxes are written into the data samples.
        """
        levels = [score[0].numel() for score in cls_scores]
        results, own, boxes = [], [], []
        for dense, sample in zip(
            self.dense_outputs(cls_scores, bbox_preds, feats, *others),
            batch_data_samples,
            strict=True,
        ):
            queries = boxes_in_input(sample, 'query_instances', dense.priors)
            if self.test_cfg.get('use_gt_boxes', False):
                found, own_found = self._annotated(dense, sample)
            else:
                found, own_found = self._detect(dense, levels, sample)
            if self.query_from_detections and len(found):
                own_queries = own_found[nearest(queries, found.bboxes)]
            else:
                _, own_queries = self.own_of_boxes(queries, dense, sample)
            results.append(found)
            own.append(torch.cat((own_found, own_queries)))
            boxes.append(torch.cat((found.bboxes, queries)))
        embedded = self.embed(own, boxes, feats)
        if self.test_cfg.get('return_points', False):
            self._add_points(results, feats, *others)
        for found, embeddings, sample in zip(
            results, embedded, batch_data_samples, strict=True
        ):
            found.embeddings = embeddings[: len(found)]
            del found.anchors
            if 'query_instances' in sample:
                sample.query_instances.embeddings = embeddings[len(found) :]
        return results

    def dense_outputs(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        feats: list[Tensor],
        *others: list[Tensor] | None,
    ) -> list['DenseOutputs']:
        """Outputs of ``forward`` in anchor order, per image.

        The first levels may be all there are.
        """
        priors = cat_boxes(
            [
                self.prior_generator.single_level_grid_priors(
                    score.shape[-2:],
                    level,
                    dtype=torch.float32,
                    device=score.device,
                )
                for level, score in enumerate(cls_scores)
            ]
        )
        per_image = zip(
            flatten_predictions(cls_scores, 1).sigmoid(),
            flatten_predictions(bbox_preds, 4),
            flatten_maps(feats),
            strict=True,
        )
        least = self.test_cfg.get('score_thr', 0)
        return [
            DenseOutputs(scores, scores > least, deltas, priors, maps)
            for scores, deltas, maps in per_image
        ]

    @property
    def query_from_detections(self) -> bool:
        """Whether queries take their features from detections."""
        return query_from_detections(self.test_cfg, 'locations', 'locations')

    def _aggregate(
        self,
        own: Sequence[Tensor],
        boxes: Sequence[Tensor],
        feats: list[Tensor],
    ) -> list[Tensor]:
        """f from f', per image: the same, where a head says no other."""
        return list(own)

    @staticmethod
    def _unit(x: Tensor, norm: nn.Module | None) -> Tensor:
        """L2-normalised (n, D), behind an optional batch norm."""
        x = precise(x)
        if norm is not None:
            x = batch_norm(norm, x)
        return F.normalize(x, dim=1)

    def embed(
        self,
        own: Sequence[Tensor],
        boxes: Sequence[Tensor],
        feats: list[Tensor],
    ) -> list[Tensor]:
        """Unit embeddings f of boxes from their features f', per image."""
        return [
            self._unit(f, self.reid_norm)
            for f in self._aggregate(own, boxes, feats)
        ]

    def _detect(
        self, dense: 'DenseOutputs', levels: list[int], sample: DetDataSample
    ) -> tuple[InstanceData, Tensor]:
        """Detections of one image, in input pixels, and their f' (n, D)."""
        cfg = self.test_cfg
        most = cfg.get('nms_pre', 1000)
        kept, start = [], 0
        for level in dense.scores[:, 0].split(levels):
            number = min(most, len(level)) if most > 0 else len(level)
            kept.append(level.topk(number).indices + start)
            start += len(level)
        kept = torch.cat(kept)
        kept = kept[dense.confident[kept, 0]]
        candidates = InstanceData(
            bboxes=self.decode(
                dense.priors[kept], dense.deltas[kept], sample.img_shape
            ),
            scores=dense.scores[kept, 0],
            labels=torch.zeros_like(kept),
            anchors=kept,
        )
        found = self._bbox_post_process(
            candidates, cfg=cfg, img_meta=sample.metainfo
        )
        own = dense.feats[found.anchors].float()
        if (threshold := cfg.get('average_iou_thr')) is not None:
            own = average_neighbours(
                own,
                found.bboxes,
                dense.feats[kept],
                candidates.bboxes,
                threshold,
                cfg.get('average_skip', 0),
            )
        found.bboxes = self.to_given(found.bboxes)
        return found, own

    def _annotated(
        self, dense: 'DenseOutputs', sample: DetDataSample
    ) -> tuple[InstanceData, Tensor]:
        """The annotated boxes in the place of detections."""
        boxes = boxes_in_input(sample, 'gt_instances', dense.priors)
        anchors, own = self.own_of_boxes(boxes, dense, sample)
        found = InstanceData(
            bboxes=boxes,
            scores=boxes.new_ones(len(boxes)),
            labels=torch.zeros_like(anchors),
            anchors=anchors,
        )
        return found, own

    def own_of_boxes(
        self, boxes: Tensor, dense: 'DenseOutputs', sample: DetDataSample
    ) -> tuple[Tensor, Tensor]:
        """Anchors whose decoded boxes fit given boxes best, and their f'."""
        # Not len(): export would fix the number of boxes.
        if boxes.size(0) == 0:
            return boxes.new_zeros(0, dtype=torch.long), dense.feats[:0]
        boxes = self.from_given(boxes)
        decoded = self.decode(dense.priors, dense.deltas, sample.img_shape)
        anchors = nearest(boxes, decoded)
        own = dense.feats[anchors].float()
        threshold = self.test_cfg.get('query_average_iou_thr')
        if threshold is not None:
            own = average_neighbours(
                own, boxes, dense.feats, decoded, threshold
            )
        return anchors, own

    def decode(
        self, priors: Tensor, deltas: Tensor, shape: tuple[int, int]
    ) -> Tensor:
        """Boxes (n, 4), cut at the edges of an image (height, width)."""
        boxes = self.bbox_coder.decode(priors, deltas, max_shape=shape)
        if not self.inclusive_boxes:
            return boxes
        # What lies outside becomes the last row or column of pixels.
        x1, y1, x2, y2 = boxes.unbind(1)
        x1, y1 = x1.clamp(max=shape[1] - 1), y1.clamp(max=shape[0] - 1)
        return torch.stack((x1, y1, x2.clamp(min=1), y2.clamp(min=1)), 1)

    def from_given(self, boxes: Tensor) -> Tensor:
        """Boxes (n, 4) as given, to those that anchors and deltas mean."""
        return _lengthen(boxes, 1) if self.inclusive_boxes else boxes

    def to_given(self, boxes: Tensor) -> Tensor:
        """The inverse of :meth:`from_given`."""
        return _lengthen(boxes, -1) if self.inclusive_boxes else boxes

    def _add_points(
        self,
        results: InstanceList,
        feats: list[Tensor],
        *others: list[Tensor] | None,
    ) -> None:
        raise ValueError(
            f'test_cfg.return_points: {type(self).__name__} samples no points'
        )


class DenseOutputs(NamedTuple):
    """What a head says at every anchor of one image, fp32 but for feats.

    ``scores`` (n, 1) are those of detections; ``confident`` (n, 1) says
    whose score exceeds ``score_thr``.
    """

    scores: Tensor
    confident: Tensor
    deltas: Tensor
    priors: Tensor
    feats: Tensor


def nearest(boxes: Tensor, others: Tensor) -> Tensor:
    """(n,) index of the other box, of m > 0, that overlaps each of n most."""
    return bbox_overlaps(boxes, others).argmax(1)


def flatten_predictions(levels: Sequence[Tensor], size: int) -> Tensor:
    """Per level (N, A * size, H, W) to (N, anchors, size), fp32."""
    flat = [x.permute(0, 2, 3, 1).reshape(len(x), -1, size) for x in levels]
    return torch.cat(flat, 1).float()


def _lengthen(boxes: Tensor, pixels: int) -> Tensor:
    """Boxes (n, 4) whose right and lower edges are that much further out."""
    return torch.cat((boxes[:, :2], boxes[:, 2:] + pixels), 1)

"""Prediction of RoI heads that embed the people they find."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.layers import multiclass_nms
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor, scale_boxes
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from ..utils import boxes_in_input


class SearchRoIPrediction:
    """Detections, their embeddings and those of query boxes in one pass.

    ``test_cfg`` takes mmdet's ``score_thr``, ``nms`` and ``max_per_img``, and

    - ``confidence_weighted``: multiply the embeddings of detections, not of
      queries, by their score, so that similarity is weighted by confidence
      (CWS). Defaults to False.
    - ``use_gt_boxes``: annotated boxes as the gallery, the upper bound.
      Defaults to False.
    - ``score_from``: with several stages, the score of the 'first' (SeqNet),
      of the 'last', or of the 'mean' of all logits (Cascade R-CNN). Defaults
      to 'last'.
    - ``before_last``: ``score_thr``, ``nms`` and ``max_per_img`` of the boxes
      that reach the last stage, by the stage before it (SeqNet). Defaults to
      None, all.
    - ``embedding``: with a shallow branch, what is searched by: 'concat' of
      both unit vectors / sqrt 2, their 'mean' as a unit vector, or one of
      them. Defaults to 'concat'.
    """

    def predict(
        self,
        x: Sequence[Tensor],
        rpn_results_list: InstanceList,
        batch_data_samples: SampleList,
        rescale: bool = False,
    ) -> InstanceList:
        """Detect people and embed them, and the query boxes, in one pass.

        Args:
            x: Levels of the neck, (N, C, H, W).
            rpn_results_list: Proposals per image, in input pixels.
            batch_data_samples: With ``query_instances.bboxes`` (q, 4),
                original pixels, where a frame has queries; their
                ``embeddings`` (q, D) are written beside them.
            rescale: Boxes in original pixels. Defaults to False.

        Returns:
            list[InstanceData]: Per image ``bboxes``, ``scores``, ``labels``
            and ``embeddings`` (n, D).
        """
        cfg = self.test_cfg
        use_gt = cfg.get('use_gt_boxes', False)
        boxes = [get_box_tensor(found.bboxes) for found in rpn_results_list]
        like = x[0].new_zeros(0, dtype=torch.float32)
        if use_gt:
            boxes = [
                boxes_in_input(sample, 'gt_instances', like)
                for sample in batch_data_samples
            ]
        logits = [[] for _ in boxes]
        if not use_gt:
            for stage in range(self.num_stages - 1):
                boxes = self._refine(
                    stage, x, boxes, logits, batch_data_samples
                )
        queries = [
            boxes_in_input(sample, 'query_instances', like)
            for sample in batch_data_samples
        ]
        both = [torch.cat(pair) for pair in zip(boxes, queries)]
        rois = bbox2roi(both)
        maps = self.roi_maps(self.num_stages - 1, x, rois)
        reid = self.embed(maps)
        embeddings = reid.embeddings
        if self.shallow is not None:
            embeddings = combine(
                embeddings,
                self.shallow(x, rois).embeddings,
                cfg.get('embedding', 'concat'),
            )
        last_logits, deltas = self.detect(self.num_stages - 1, maps, reid)
        counts = [len(one) for one in both]
        results = []
        for found, seen, score, delta, vectors, sample in zip(
            boxes,
            logits,
            last_logits.split(counts),
            deltas.split(counts),
            embeddings.split(counts),
            batch_data_samples,
            strict=True,
        ):
            num = len(found)
            if use_gt:
                result = _as_they_are(found, vectors[:num])
            else:
                seen.append(score[:num])
                result = self._select(
                    found, seen, delta[:num], vectors[:num], sample
                )
            if rescale:
                inverse = [1 / s for s in sample.scale_factor]
                result.bboxes = scale_boxes(result.bboxes, inverse)
            if 'query_instances' in sample:
                sample.query_instances.embeddings = vectors[num:]
            results.append(result)
        return results

    def _refine(
        self,
        stage: int,
        x: Sequence[Tensor],
        boxes: list[Tensor],
        logits: list[list[Tensor]],
        samples: SampleList,
    ) -> list[Tensor]:
        """Boxes of the next stage; the stage's logits are kept beside them."""
        rois = bbox2roi(boxes)
        scores, deltas = self.detect(
            stage, self.roi_maps(stage, x, rois), None
        )
        counts = [len(one) for one in boxes]
        prune = None
        if stage == self.num_stages - 2:
            prune = self.test_cfg.get('before_last')
        refined = []
        for i, (score, delta) in enumerate(
            zip(scores.split(counts), deltas.split(counts))
        ):
            found = self._decode(stage, boxes[i], delta, samples[i])
            logits[i].append(score)
            if prune is not None:
                keep = _nms(found, _probability(score), prune)[1]
                found = found[keep]
                logits[i] = [seen[keep] for seen in logits[i]]
            refined.append(found)
        return refined

    def _decode(
        self, stage: int, boxes: Tensor, deltas: Tensor, sample: DetDataSample
    ) -> Tensor:
        coder = self.bbox_head[stage].bbox_coder
        decoded = coder.decode(
            boxes.float(), deltas.float(), max_shape=sample.img_shape
        )
        return get_box_tensor(decoded)

    def _select(
        self,
        boxes: Tensor,
        logits: list[Tensor],
        deltas: Tensor,
        embeddings: Tensor,
        sample: DetDataSample,
    ) -> InstanceData:
        """Detections of one image from what its last boxes gave."""
        boxes = self._decode(self.num_stages - 1, boxes, deltas, sample)
        choice = self.test_cfg.get('score_from', 'last')
        if choice == 'mean':
            score = _probability(torch.stack(logits).float().mean(0))
        else:
            score = _probability(logits[0 if choice == 'first' else -1])
            pixelwise = getattr(self.bbox_head[-1], 'pixelwise', False)
            if choice == 'last' and pixelwise and len(score):
                # NAE+: relative to the image's best.
                score = score / score.max()
        dets, keep = _nms(boxes, score, self.test_cfg)
        embeddings = embeddings[keep]
        if self.test_cfg.get('confidence_weighted', False):
            embeddings = embeddings * dets[:, 4:]
        return InstanceData(
            bboxes=dets[:, :4],
            scores=dets[:, 4],
            labels=torch.zeros_like(keep),
            embeddings=embeddings,
        )


def combine(deep: Tensor, shallow: Tensor, how: str) -> Tensor:
    """One vector for search from the unit embeddings of both branches.

    Args:
        deep: (N, D).
        shallow: (N, D'); D' = D for the mean.
        how: 'concat', 'mean', 'deep' or 'shallow'.

    Returns:
        (N, D + D') or (N, D), unit length.
    """
    if how == 'concat':
        return torch.cat((deep, shallow), 1) / 2**0.5
    if how == 'mean':
        return F.normalize(deep + shallow, dim=1)
    return deep if how == 'deep' else shallow


def _probability(logits: Tensor) -> Tensor:
    """(n, 2) logits to the (n,) probability of a person."""
    return logits.float().softmax(1)[:, 0]


def _nms(boxes: Tensor, score: Tensor, cfg: dict) -> tuple[Tensor, Tensor]:
    """(k, 5) boxes and scores that stay, best first, and their indices."""
    dets, _, keep = multiclass_nms(
        boxes,
        torch.stack((score, 1 - score), 1),
        cfg.get('score_thr', 0.0),
        cfg['nms'],
        cfg.get('max_per_img', -1),
        return_inds=True,
    )
    return dets, keep


def _as_they_are(boxes: Tensor, embeddings: Tensor) -> InstanceData:
    """Annotated boxes in the place of detections."""
    return InstanceData(
        bboxes=boxes,
        scores=boxes.new_ones(len(boxes)),
        labels=torch.zeros(len(boxes), dtype=torch.long, device=boxes.device),
        embeddings=embeddings,
    )

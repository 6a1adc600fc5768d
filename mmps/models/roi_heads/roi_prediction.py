"""Prediction of RoI heads that embed the people they find."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi, get_box_tensor
from mmdet.utils import InstanceList
from mmengine.structures import InstanceData
from torch import Tensor

from ..utils import boxes_in_input, to_original_size
from .final_boxes import as_they_are, best_boxes, probability
from .stages import pruning_behind


class RoIPredictionMixin:
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
      that reach the last stage, by the score up to the stage before it
      (SeqNet); or a list, with one for every stage but the last, None to let
      all boxes pass (COAT). Defaults to None, all.
    - ``reid_from``: with several re-id stages, what is searched by: 'concat'
      of their n unit vectors / sqrt n, earlier stages first, their 'mean' as
      a unit vector, or that of the 'first' or 'last' of these stages.
      Defaults to 'concat'.
    - ``embedding``: with a shallow branch, what is searched by: 'concat' of
      both unit vectors / sqrt 2, their 'mean' as a unit vector, or one of
      them. Defaults to 'concat'.
    - ``unit_queries``: False leaves the embeddings of queries, not of
      detections, as long as the pooling makes them, as the published code of
      NAE+ does; no ranking changes. Not with a shallow branch. Defaults to
      True.
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
                ``embeddings`` (q, D) are written beside them. With a gallery
                filter their ``scene_filters`` (q, 3, D), too, and the
                sample's ``scene_embedding`` (D,).
            rescale: Boxes in original pixels. Defaults to False.

        Returns:
            list[InstanceData]: Per image ``bboxes``, ``scores``, ``labels``
            and ``embeddings`` (n, D).
        """
        if self.test_cfg.get('use_gt_boxes', False):
            like = x[0].new_zeros(0, dtype=torch.float32)
            results = [
                as_they_are(boxes_in_input(sample, 'gt_instances', like))
                for sample in batch_data_samples
            ]
            self.embed_boxes(x, results, batch_data_samples)
        else:
            results = self._detect(x, rpn_results_list, batch_data_samples)
        if rescale:
            to_original_size(results, batch_data_samples)
        return results

    def embed_boxes(
        self,
        x: Sequence[Tensor],
        detections: InstanceList,
        batch_data_samples: SampleList,
    ) -> None:
        """Embed given detections, and the query boxes, in one pass.

        No box is refined, and none is left out.

        Args:
            x: Levels of the neck, (N, C, H, W).
            detections: Per image ``bboxes`` (n, 4), in input pixels, and
                ``scores`` (n,); their ``embeddings`` (n, D) are written
                beside them.
            batch_data_samples: See :meth:`predict`.
        """
        boxes = [get_box_tensor(found.bboxes) for found in detections]
        both = _with_queries(boxes, batch_data_samples)
        rois = bbox2roi(both)
        embeddings_of = self.last_stage(x, rois)[2]
        rows = torch.arange(len(rois), device=rois.device)
        rows = rows.split([len(one) for one in both])
        self._add_embeddings(
            x, detections, batch_data_samples, list(rows), embeddings_of
        )

    def _detect(
        self,
        x: Sequence[Tensor],
        proposals: InstanceList,
        samples: SampleList,
    ) -> InstanceList:
        """Detections in input pixels, embedded, and the queries'."""
        boxes = [get_box_tensor(found.bboxes) for found in proposals]
        logits = [[] for _ in boxes]
        for stage in range(self.num_stages - 1):
            boxes = self._refine(stage, x, boxes, logits, samples)
        both = _with_queries(boxes, samples)
        rois = bbox2roi(both)
        last_logits, deltas, embeddings_of = self.last_stage(x, rois)
        counts = [len(one) for one in both]
        results, wanted, start = [], [], 0
        for found, seen, score, delta, count, sample in zip(
            boxes,
            logits,
            last_logits.split(counts),
            deltas.split(counts),
            counts,
            samples,
            strict=True,
        ):
            num = len(found)
            seen.append(score[:num])
            result, kept = self._select(found, seen, delta[:num], sample)
            rows = torch.arange(start, start + count, device=rois.device)
            results.append(result)
            wanted.append(torch.cat((rows[kept], rows[num:])))
            start += count
        self._add_embeddings(x, results, samples, wanted, embeddings_of)
        return results

    def _add_scenes(self, x: Sequence[Tensor], samples: SampleList) -> None:
        """Embed whole scenes, and make filters of their queries."""
        scenes = self.gallery_filter(x)
        for sample, scene in zip(samples, scenes, strict=True):
            sample.scene_embedding = scene
            if 'query_instances' in sample:
                queries = sample.query_instances
                queries.scene_filters = self.gallery_filter.filters(
                    queries.embeddings, scene.expand_as(queries.embeddings)
                )

    def _add_embeddings(
        self,
        x: Sequence[Tensor],
        results: InstanceList,
        samples: SampleList,
        wanted: list[Tensor],
        embeddings_of: Callable[..., Tensor],
    ) -> None:
        """Embed per image the RoIs of the results, and then its queries.

        A gallery filter embeds whole scenes besides.
        """
        unit_queries = self.test_cfg.get('unit_queries', True)
        embeddings = embeddings_of(torch.cat(wanted), unit=unit_queries)
        weighted = self.test_cfg.get('confidence_weighted', False)
        for result, vectors, sample in zip(
            results,
            embeddings.split([len(rows) for rows in wanted]),
            samples,
            strict=True,
        ):
            num = len(result)
            found = vectors[:num]
            if not unit_queries:
                found = F.normalize(found, dim=1)
            if weighted:
                found = found * result.scores[:, None]
            result.embeddings = found
            if 'query_instances' in sample:
                sample.query_instances.embeddings = vectors[num:]
        if self.gallery_filter is not None:
            self._add_scenes(x, samples)

    def last_stage(
        self, x: Sequence[Tensor], rois: Tensor
    ) -> tuple[Tensor, Tensor, Callable[..., Tensor]]:
        """Outputs of the last stage for RoIs.

        Args:
            x: Levels of the neck.
            rois: (n, 5), image index and xyxy.

        Returns:
            (n, 2) logits, (n, 4) deltas, and a function from indices (k,) of
            RoIs to their embeddings (k, D) to search by; with ``unit=False``
            of any length. What detection does not need is computed for these
            RoIs only.
        """
        logits, deltas, maps, reid = self.run_stage(
            self.num_stages - 1, x, rois
        )

        def embeddings_of(index: Tensor, unit: bool = True) -> Tensor:
            name = 'embeddings' if unit else 'mean'
            if reid is None:
                last = getattr(self.embed([m[index] for m in maps]), name)
            else:
                last = getattr(reid, name)[index]
            deep = self._with_earlier(last, x, rois[index])
            if self.shallow is None:
                return deep
            return combine(
                [deep, self.shallow(x, rois[index]).embeddings],
                self.test_cfg.get('embedding', 'concat'),
            )

        return logits, deltas, embeddings_of

    def _with_earlier(
        self, last: Tensor, x: Sequence[Tensor], rois: Tensor
    ) -> Tensor:
        """The last stage's embeddings beside those of earlier re-id stages.

        All stages embed the same RoIs, those of the last one.
        """
        how = self.test_cfg.get('reid_from', 'concat')
        if self.num_reid_stages == 1 or how == 'last':
            return last
        first = self.num_stages - self.num_reid_stages
        stages = range(first, self.num_stages - 1)
        if how == 'first':
            stages = stages[:1]
        earlier = [
            self.embed(self.roi_maps(stage, x, rois), stage).embeddings
            for stage in stages
        ]
        return combine([*earlier, last], how)

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
        scores, deltas = self.run_stage(stage, x, rois)[:2]
        counts = [len(one) for one in boxes]
        prune = pruning_behind(self.test_cfg, stage, self.num_stages)
        refined = []
        for i, (score, delta) in enumerate(
            zip(scores.split(counts), deltas.split(counts))
        ):
            found = self.decode(stage, boxes[i], delta, samples[i])
            logits[i].append(score)
            if prune is not None:
                seen = self.person_score(logits[i])
                keep = best_boxes(found, seen, prune)[1]
                found = found[keep]
                logits[i] = [seen[keep] for seen in logits[i]]
            refined.append(found)
        return refined

    def decode(
        self, stage: int, boxes: Tensor, deltas: Tensor, sample: DetDataSample
    ) -> Tensor:
        """(n, 4) boxes of a stage, inside the sample's ``img_shape``."""
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
        sample: DetDataSample,
    ) -> tuple[InstanceData, Tensor]:
        """Detections of one image, and which of its last boxes they were."""
        boxes = self.decode(self.num_stages - 1, boxes, deltas, sample)
        dets, keep = best_boxes(
            boxes, self.person_score(logits), self.test_cfg
        )
        found = InstanceData(
            bboxes=dets[:, :4],
            scores=dets[:, 4],
            labels=torch.zeros_like(keep),
        )
        return found, keep

    def person_score(self, logits: list[Tensor]) -> Tensor:
        """(n,) score of an image's boxes, from (n, 2) per stage so far."""
        choice = self.test_cfg.get('score_from', 'last')
        if choice == 'mean':
            return probability(torch.stack(logits).float().mean(0))
        score = probability(logits[0 if choice == 'first' else -1])
        head = self.bbox_head[len(logits) - 1]
        pixelwise = getattr(head, 'pixelwise', False)
        if choice == 'last' and pixelwise and len(score):
            # NAE+: relative to the image's best.
            score = score / score.max()
        return score


def _with_queries(boxes: list[Tensor], samples: SampleList) -> list[Tensor]:
    """Per image (n, 4) boxes, and behind them its query boxes."""
    return [
        torch.cat((found, boxes_in_input(sample, 'query_instances', found)))
        for found, sample in zip(boxes, samples, strict=True)
    ]


def combine(vectors: Sequence[Tensor], how: str) -> Tensor:
    """One vector for search from several unit embeddings of a person.

    Args:
        vectors: n times (N, D); D may differ but for the mean.
        how: 'concat', 'mean', 'first' or 'deep' for the first of them,
            'last' or 'shallow' for the last.

    Returns:
        (N, sum of D) or (N, D), unit length.
    """
    if how == 'concat':
        return torch.cat(list(vectors), 1) / len(vectors) ** 0.5
    if how == 'mean':
        return F.normalize(sum(vectors), dim=1)
    return vectors[0 if how in ('first', 'deep') else -1]

"""Detectors as plain functions of pixels, for one image of one size.

They predict as the detectors themselves do, with tensors of fixed size up to
the last step; their parts are the detectors' own.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi, cat_boxes, get_box_tensor
from torch import Tensor, nn

from mmps.models.dense_heads.dense_prediction import DenseOutputs, nearest
from mmps.models.dense_heads.search_boxes import average_neighbours
from mmps.models.roi_heads import SearchRoIHead
from mmps.models.roi_heads.stages import pruning_behind

from .layers import Pixels
from .selection import best_of_levels, select


class SearchGraph(nn.Module):
    """From one image to its people, or to embeddings of given boxes.

    Args:
        model: A detector whose layers can be exported.
        size: Height and width of the image.
    """

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.pixels = Pixels(model.data_preprocessor)
        self.sample = DetDataSample(
            metainfo=dict(img_shape=size, scale_factor=(1.0, 1.0))
        )

    def forward(
        self, image: Tensor, boxes: Tensor | None = None
    ) -> Tensor | tuple[Tensor, Tensor, Tensor]:
        """Detect, or embed.

        Args:
            image: (1, 3, H, W) BGR in 0..255.
            boxes: (q, 4) xyxy in pixels of the image. Defaults to None.

        Returns:
            (n, 4) boxes, (n,) scores and (n, D) embeddings, best first; or
            (q, D) embeddings of the given boxes.
        """
        maps = self.model.extract_feat(self.pixels(image))
        if boxes is not None:
            return self.embed(maps, boxes)
        *found, valid = self.detect(maps)
        rows = valid.nonzero()[:, 0]
        return tuple(x[rows] for x in found)


class OneStageGraph(SearchGraph):
    """Of a single-stage detector with a :class:`DensePredictionMixin`."""

    def detect(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Neck levels to K boxes, scores, embeddings, and which are valid."""
        head = self.model.bbox_head
        outs = head(x)
        (dense,) = head.dense_outputs(*outs)
        found, scores, own, valid = self._find(outs, dense)
        (embeddings,) = head.embed([own], [found], outs[2])
        return found, scores, embeddings, valid

    def _find(
        self, outs: tuple, dense: DenseOutputs
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """K boxes, scores, features f', and which are valid."""
        head, cfg = self.model.bbox_head, self.model.bbox_head.test_cfg
        kept, _ = best_of_levels(
            dense.scores[:, 0].split([s.numel() for s in outs[0]]),
            cfg.get('nms_pre', 1000),
        )
        boxes = head.decode(
            dense.priors[kept], dense.deltas[kept], self.sample.img_shape
        )
        scores = dense.scores[kept, 0]
        near = dense.confident[kept, 0]
        # A score that is a product may be below the threshold.
        chosen, valid = select(boxes, scores, {**cfg, 'score_thr': 0}, near)
        found = boxes[chosen]
        own = dense.feats[kept][chosen].float()
        threshold = cfg.get('average_iou_thr')
        if threshold is not None:
            # Only what is above the threshold of scores is a neighbour.
            own = average_neighbours(
                own,
                found,
                dense.feats[kept],
                boxes.masked_fill(~near[:, None], 0),
                threshold,
                cfg.get('average_skip', 0),
                near.sum(),
            )
        return head.to_given(found), scores[chosen], own, valid

    def embed(self, x: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Neck levels and (q, 4) boxes to (q, D) embeddings."""
        head = self.model.bbox_head
        outs = head(x)
        (dense,) = head.dense_outputs(*outs)
        own = head.own_of_boxes(boxes, dense, self.sample)[1]
        if head.query_from_detections:
            # Rows that are not valid repeat the first.
            found, _, of_found, valid = self._find(outs, dense)
            same = of_found[nearest(boxes, found)]
            own = torch.where(valid.any(), same, own)
        return head.embed([own], [boxes], outs[2])[0]


class TwoStageGraph(SearchGraph):
    """Of a two-stage detector with a :class:`SearchRoIHead`."""

    def propose(self, x: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Neck levels to K proposals of the RPN, and which are valid."""
        head, cfg = self.model.rpn_head, self.model.rpn_head.test_cfg
        scores, deltas = head(x)
        sizes = [s.shape[-2:] for s in scores]
        priors = cat_boxes(
            head.prior_generator.grid_priors(sizes, device=scores[0].device)
        )
        flat = [_in_anchor_order(s, head.cls_out_channels) for s in scores]
        if head.use_sigmoid_cls:
            flat = [s[:, 0].sigmoid() for s in flat]
        else:
            flat = [s.softmax(1)[:, 0] for s in flat]
        deltas = torch.cat([_in_anchor_order(d, 4) for d in deltas])
        kept, level = best_of_levels(flat, cfg.get('nms_pre', -1))
        boxes = get_box_tensor(
            head.bbox_coder.decode(
                priors[kept], deltas[kept], max_shape=self.sample.img_shape
            )
        )
        chosen, valid = select(
            boxes,
            torch.cat(flat)[kept],
            cfg,
            groups=level if len(flat) > 1 else None,
        )
        return boxes[chosen], valid

    def detect(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Neck levels to K boxes, scores, embeddings, and which are valid."""
        head, cfg = self.model.roi_head, self.model.roi_head.test_cfg
        boxes, valid = self.propose(x)
        seen: list[Tensor] = []
        for stage in range(head.num_stages - 1):
            logits, deltas, *_ = head.run_stage(stage, x, bbox2roi([boxes]))
            boxes = head.decode(stage, boxes, deltas, self.sample)
            seen.append(logits)
            prune = pruning_behind(cfg, stage, head.num_stages)
            if prune is not None:
                chosen, valid = select(
                    boxes, head.person_score(seen), prune, valid
                )
                boxes = boxes[chosen]
                seen = [logits[chosen] for logits in seen]
        logits, deltas, embeddings_of = head.last_stage(x, bbox2roi([boxes]))
        boxes = head.decode(head.num_stages - 1, boxes, deltas, self.sample)
        scores = head.person_score([*seen, logits])
        chosen, valid = select(boxes, scores, cfg, valid)
        boxes, scores = boxes[chosen], scores[chosen]
        embeddings = embeddings_of(chosen)
        if cfg.get('confidence_weighted', False):
            embeddings = embeddings * scores[:, None]
        return boxes, scores, embeddings, valid

    def embed(self, x: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Neck levels and (q, 4) boxes to (q, D) embeddings."""
        return _embed_rois(self.model.roi_head, x, boxes)


class DenseTwoStageGraph(OneStageGraph):
    """Of a :class:`DenseTwoStageDetector`, whose RPN is left out."""

    def detect(self, x: tuple[Sequence, Sequence]) -> tuple[Tensor, ...]:
        """Levels of both heads to what :meth:`OneStageGraph.detect` gives."""
        roi_levels, dense_levels = x
        found, scores, dense, valid = super().detect(dense_levels)
        embeddings = self._combine(roi_levels, found, dense)
        return found, scores, embeddings, valid

    def embed(self, x: tuple[Sequence, Sequence], boxes: Tensor) -> Tensor:
        """Levels of both heads and (q, 4) boxes to (q, D) embeddings."""
        roi_levels, dense_levels = x
        dense = super().embed(dense_levels, boxes)
        own = self._combine(roi_levels, boxes, dense)
        if not self.model.bbox_head.query_from_detections:
            return own
        found, _, embeddings, valid = self.detect(x)
        return torch.where(valid.any(), embeddings[nearest(boxes, found)], own)

    def _combine(
        self, x: Sequence[Tensor], boxes: Tensor, dense: Tensor
    ) -> Tensor:
        """Embeddings of (n, 4) boxes from those of the dense head."""
        rois = _embed_rois(self.model.roi_head, x, boxes)
        return self.model.combine((dense, rois))


class TransformerGraph(SearchGraph):
    """Of a :class:`PSTR`."""

    def __init__(self, model: nn.Module, size: tuple[int, int]) -> None:
        super().__init__(model, size)
        cfg = model.bbox_head.test_cfg
        # All queries, until the last step.
        self.score_thr = cfg.get('score_thr', 0)
        cfg.score_thr = 0
        model.pre_transformer = self._pre_transformer
        self.sample.set_metainfo(
            dict(batch_input_shape=self.pixels.padded_size(size))
        )

    def _pre_transformer(
        self, maps: Sequence[Tensor], samples: Sequence[DetDataSample]
    ) -> tuple[dict, dict]:
        """As in mmdet; the size of the one map stays a pair of numbers."""
        (level,), (sample,) = maps, samples
        outside = mask = None
        valid_ratios = level.new_ones(1, 1, 2)
        height, width = sample.img_shape
        if sample.batch_input_shape != sample.img_shape:
            outside = level.new_ones(1, 1, *sample.batch_input_shape)
            outside[..., :height, :width] = 0
            outside = F.interpolate(outside, size=level.shape[2:])
            outside = outside[:, 0].bool()
            mask = outside.flatten(1)
            valid_ratios = self.model.get_valid_ratio(outside)[:, None]
        position = self.model.positional_encoding(outside, input=level)
        position = position.flatten(2).transpose(1, 2)
        shared = dict(
            spatial_shapes=[tuple(level.shape[2:])],
            level_start_index=None,
            valid_ratios=valid_ratios,
        )
        encoder = dict(
            feat=level.flatten(2).transpose(1, 2),
            feat_mask=mask,
            feat_pos=position + self.model.level_embed[0],
        )
        return {**encoder, **shared}, {'memory_mask': mask, **shared}

    def detect(self, x: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Neck levels to K boxes, scores, embeddings, and which are valid."""
        found = self.model.bbox_head.detect(self._image(x))
        valid = found.scores > self.score_thr
        if self.score_thr <= 0:
            valid = torch.ones_like(valid)
        return found.bboxes, found.scores, found.embeddings, valid

    def embed(self, x: Sequence[Tensor], boxes: Tensor) -> Tensor:
        """Neck levels and (q, 4) boxes to (q, D) embeddings."""
        return self.model.bbox_head.embed_queries(boxes, self._image(x))

    def _image(self, x: Sequence[Tensor]) -> tuple:
        outs = self.model.forward_transformer(x, [self.sample])
        (image,) = self.model.bbox_head.images(
            **outs, batch_data_samples=[self.sample]
        )
        return image


def _embed_rois(
    head: SearchRoIHead, x: Sequence[Tensor], boxes: Tensor
) -> Tensor:
    """One image's levels and (n, 4) boxes to (n, D) embeddings."""
    *_, embeddings_of = head.last_stage(x, bbox2roi([boxes]))
    return embeddings_of(torch.arange(boxes.size(0)))


def _in_anchor_order(x: Tensor, size: int) -> Tensor:
    """(1, A * size, H, W) to (anchors, size), fp32."""
    return x[0].permute(1, 2, 0).reshape(-1, size).float()

"""The transformer head of PSTR."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DeformableDETRHead
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import (
    bbox_cxcywh_to_xyxy,
    bbox_overlaps,
    bbox_xyxy_to_cxcywh,
    get_box_tensor,
    scale_boxes,
)
from mmdet.utils import InstanceList, OptConfigType
from mmengine.model import ModuleList
from mmengine.structures import InstanceData
from torch import Tensor

from mmps.registry import MODELS

from ..layers.part_attention import PartAttention
from ..memories import needs_cosines
from ..utils import boxes_in_input, to_original_size
from .dense_prediction import nearest
from .search_boxes import query_from_detections


@MODELS.register_module()
class PSTRHead(DeformableDETRHead):
    """Deformable DETR's head that also gives every person an embedding.

    Beside class and box, each of the decoder's queries gets a feature per
    map of the neck: :class:`PartAttention` layers, shared by all maps and
    decoder layers, sample the map in the predicted box. The mean over all
    queries of an image is taken from it. In training each decoder layer's
    features are compared with the map's own identity memory; at test those
    of the last layer are concatenated.

    ``test_cfg`` takes, beside mmdet's ``max_per_img``:

    * ``score_thr``: detections must exceed it; default 0, all queries;
    * ``query_from``: 'detections' gives a query box the embedding of the
      detection that fits it best, of all queries of the decoder; 'boxes'
      samples in the box itself, with that query's state; default
      'detections', as published;
    * ``use_gt_boxes``: annotated boxes as the gallery, the upper bound, by
      sampling in them; default False.

    Source: Cao et al., "PSTR: End-to-End One-Step Person Search With
    Transformers", CVPR 2022, sections 3.2 and 3.3.

    Args:
        num_classes (int): Classes; one, the person. Defaults to 1.
        map_weights (Sequence[float]): Factor of every map's feature in the
            embedding, the coarsest first. Defaults to (1.0, 1.0, 1.0).
        part_attention (dict, optional): Options of :class:`PartAttention`.
            Defaults to None.
        num_part_layers (int): Defaults to 2.
        memory (dict, optional): Of every map's identity memory.
        loss_reid (dict, optional): A loss on a memory's readout, for every
            map and decoder layer. Defaults to OIMLoss.
        loss_tri (dict, optional): One more, :class:`BatchHardTripletLoss` on
            CUHK-SYSU. Defaults to None.
        **kwargs: See mmdet's DeformableDETRHead.
    """

    def __init__(
        self,
        num_classes: int = 1,
        *args: Any,
        map_weights: Sequence[float] = (1.0, 1.0, 1.0),
        part_attention: OptConfigType = None,
        num_part_layers: int = 2,
        memory: OptConfigType = None,
        loss_reid: OptConfigType = None,
        loss_tri: OptConfigType = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(num_classes, *args, **kwargs)
        self.map_weights = tuple(map_weights)
        self.part_attentions = ModuleList(
            PartAttention(self.embed_dims, **(part_attention or {}))
            for _ in range(num_part_layers)
        )
        memory = {
            'type': 'mmps.IdentityMemory',
            'embed_dims': self.embed_dims,
            **(memory or {}),
        }
        self.memories = ModuleList(MODELS.build(memory) for _ in map_weights)
        # One each: a loss may keep what it knows of its memory (BOIM).
        self.loss_reid = ModuleList(
            MODELS.build(loss_reid or dict(type='mmps.OIMLoss'))
            for _ in map_weights
        )
        self.loss_tri = MODELS.build(loss_tri) if loss_tri else None
        if self.train_cfg:
            self.assigner = _MatchKeeper(self.assigner)

    def init_weights(self) -> None:
        """As mmdet's, which does not reach the part attention."""
        super().init_weights()
        self.part_attentions.init_weights()

    def forward(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        maps: Sequence[Tensor],
        mask: Tensor | None,
        valid_ratios: Tensor,
    ) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Decoder states to scores, boxes and features.

        Args:
            hidden_states (Tensor): (L, N, Q, C), of L decoder layers.
            references (Sequence[Tensor]): Per layer (N, Q, 2 or 4).
            maps (Sequence[Tensor]): Per map (N, C, H, W).
            mask (Tensor | None): (N, H * W), True where images are padded.
            valid_ratios (Tensor): (N, 1, 2), the share of width and height
                that an image fills.

        Returns:
            tuple: (L, N, Q, 1) class logits, (L, N, Q, 4) boxes as cx, cy,
            w, h, fractions of the image, and per map (L', N, Q, C) features,
            of all layers in training and otherwise of the last.
        """
        with torch.autocast(hidden_states.device.type, enabled=False):
            scores, boxes = super().forward(hidden_states, references)
        layers = slice(None) if self.training else slice(-1, None)
        features = self.features(
            hidden_states[layers], boxes[layers], maps, mask, valid_ratios
        )
        return scores, boxes, features

    def features(
        self,
        states: Tensor,
        boxes: Tensor,
        maps: Sequence[Tensor],
        mask: Tensor | None,
        valid_ratios: Tensor,
    ) -> list[Tensor]:
        """Part attention around boxes, per map (L, N, Q, C).

        Args:
            states: (L, N, Q, C). Only the first map's features pass a
                gradient on to them.
            boxes: (L, N, Q, 4) cx, cy, w, h as fractions of the image; no
                gradient.
            maps: See :meth:`forward`.
            mask: See :meth:`forward`.
            valid_ratios: See :meth:`forward`.
        """
        if len(maps) != len(self.map_weights):
            raise ValueError(
                f'PSTRHead: map_weights has {len(self.map_weights)} factors, '
                f'but the neck gives {len(maps)} maps; expected one each'
            )
        layers, num = states.shape[:2]
        # All layers at once: each map is projected once.
        queries = states.transpose(0, 1).flatten(1, 2)
        boxes = boxes.detach().transpose(0, 1).flatten(1, 2)
        boxes = boxes * valid_ratios.repeat(1, 1, 2)
        features = []
        for number, level in enumerate(maps):
            x = queries.detach() if number else queries
            for attention in self.part_attentions:
                x = attention(x, level, boxes, mask)
            features.append(x.unflatten(1, (layers, -1)).transpose(0, 1))
        return features

    def loss(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        enc_outputs_class: Tensor | None,
        enc_outputs_coord: Tensor | None,
        batch_data_samples: SampleList,
        **maps: Any,
    ) -> dict[str, Tensor]:
        """Losses of detection and identities; updates the memories.

        Args: as in mmdet, and ``maps``, ``mask`` and ``valid_ratios`` of
            :meth:`forward`; ``person_ids`` (n,) in the ground truth.

        Returns:
            dict: ``loss_cls``, ``loss_bbox``, ``loss_iou``, and per map s
            ``loss_reid_s`` and, where configured, ``loss_tri_s``; those of
            the layers before the last behind ``d0.``, ``d1.``, ...
        """
        scores, boxes, features = self(hidden_states, references, **maps)
        truth = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        if self.assigner is not None:
            self.assigner.matches.clear()
        losses = self.loss_by_feat(
            scores, boxes, enc_outputs_class, enc_outputs_coord, truth, metas
        )
        losses.update(self._reid_losses(features, boxes, truth, metas))
        return losses

    def _reid_losses(
        self,
        features: list[Tensor],
        boxes: Tensor,
        truth: InstanceList,
        metas: list[dict],
    ) -> dict[str, Tensor]:
        person_ids = torch.cat([gt.person_ids for gt in truth])
        people = self._people(len(boxes), truth)
        ious = [None] * len(people)
        if any(memory.needs_ious for memory in self.memories):
            ious = _overlaps(boxes, people, truth, metas)
        losses = {}
        for number, (x, memory) in enumerate(zip(features, self.memories)):
            x = x - x.mean(2, keepdim=True)
            steps = []
            for layer, (image, query, person) in enumerate(people):
                found = F.normalize(x[layer, image, query], dim=1)
                ids = person_ids[person]
                readout = memory(found, shared=needs_cosines(self.loss_tri))
                name = '' if layer == len(people) - 1 else f'd{layer}.'
                losses[f'{name}loss_reid_{number}'] = self.loss_reid[number](
                    readout, ids
                )
                if self.loss_tri is not None:
                    losses[f'{name}loss_tri_{number}'] = self.loss_tri(
                        readout, ids
                    )
                steps.append((found.detach(), ids, None, ious[layer]))
            # Layer after layer: the order of samples is the same however
            # many processes share the images.
            for step in steps:
                memory.update(*step)
        return losses

    def _people(
        self, layers: int, truth: InstanceList
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per decoder layer image, query and person, of all images'."""
        start, starts = 0, []
        for people in truth:
            starts.append(start)
            start += len(people)
        matches = self.assigner.matches[: layers * len(truth)]
        person = torch.stack(
            [
                match.masked_fill(match < 0, -1 - start) + start
                for match, start in zip(matches, starts * layers)
            ]
        ).unflatten(0, (layers, len(truth)))
        # The host waits here once. Every layer matches as many people.
        count = sum(min(len(one), person.size(2)) for one in truth)
        layer, image, query = (person >= 0).nonzero(as_tuple=True)
        person = person[layer, image, query]
        split = [one.split(count) for one in (image, query, person)]
        if count == 0:
            split = [[one] * layers for one in (image, query, person)]
        return list(zip(*split, strict=True))

    def predict(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        batch_data_samples: SampleList,
        rescale: bool = True,
        **maps: Any,
    ) -> InstanceList:
        """Detect people and embed them, and the query boxes, in one pass.

        Args: as in mmdet, and ``maps``, ``mask`` and ``valid_ratios`` of
            :meth:`forward`. A data sample with ``query_instances.bboxes``
            (q, 4), original pixels, gets unit ``embeddings`` (q, D) beside
            them.

        Returns:
            list[InstanceData]: Per image ``bboxes``, ``scores``, ``labels``
            and unit ``embeddings`` (n, D), best first.
        """
        results = []
        images = self.images(
            hidden_states, references, batch_data_samples, **maps
        )
        for image, sample in zip(images, batch_data_samples, strict=True):
            queries = boxes_in_input(sample, 'query_instances', image.boxes)
            if self.test_cfg.get('use_gt_boxes', False):
                found = self._annotated(image, sample)
            else:
                found = self.detect(image)
            if 'query_instances' in sample:
                sample.query_instances.embeddings = self.embed_queries(
                    queries, image
                )
            results.append(found)
        if rescale:
            to_original_size(results, batch_data_samples)
        return results

    def images(
        self,
        hidden_states: Tensor,
        references: Sequence[Tensor],
        batch_data_samples: SampleList,
        **maps: Any,
    ) -> list['_Image']:
        """What the last decoder layer says, image by image.

        Args: as of :meth:`predict`.
        """
        scores, boxes, features = self(hidden_states, references, **maps)
        features = [x[-1] for x in features]
        means = [x.mean(1) for x in features]
        embeddings = self._embeddings(
            [x - mean[:, None] for x, mean in zip(features, means)]
        )
        return [
            _Image(
                boxes=_in_pixels(boxes[-1, i], sample.img_shape),
                scores=scores[-1, i, :, 0].sigmoid(),
                embeddings=embeddings[i],
                states=hidden_states[-1, i],
                maps=[level[i : i + 1] for level in maps['maps']],
                mask=None if maps['mask'] is None else maps['mask'][i : i + 1],
                valid_ratios=maps['valid_ratios'][i : i + 1],
                means=[mean[i] for mean in means],
                shape=sample.img_shape,
            )
            for i, sample in enumerate(batch_data_samples)
        ]

    def detect(self, image: '_Image') -> InstanceData:
        """The best of the decoder's queries, with what they are."""
        limit = self.test_cfg.get('max_per_img', len(image.scores))
        scores, best = image.scores.topk(min(limit, len(image.scores)))
        found = InstanceData(
            bboxes=image.boxes[best],
            scores=scores,
            labels=torch.zeros_like(best),
            embeddings=image.embeddings[best],
        )
        if (least := self.test_cfg.get('score_thr', 0)) > 0:
            found = found[scores > least]
        return found

    def embed_queries(self, boxes: Tensor, image: '_Image') -> Tensor:
        """Unit embeddings (q, D) of query boxes (q, 4), as configured."""
        if query_from_detections(self.test_cfg, 'boxes', 'detections'):
            return image.embeddings[nearest(boxes, image.boxes)]
        return self._embed_boxes(boxes, image)

    def _annotated(
        self, image: '_Image', sample: DetDataSample
    ) -> InstanceData:
        """The annotated boxes in the place of detections."""
        boxes = boxes_in_input(sample, 'gt_instances', image.boxes)
        return InstanceData(
            bboxes=boxes,
            scores=boxes.new_ones(len(boxes)),
            labels=boxes.new_zeros(len(boxes), dtype=torch.long),
            embeddings=self._embed_boxes(boxes, image),
        )

    def _embed_boxes(self, boxes: Tensor, image: '_Image') -> Tensor:
        """Embeddings (n, D) of boxes (n, 4), by sampling in them.

        The state is that of the query whose own box fits best.
        """
        if boxes.size(0) == 0:
            channels = sum(len(mean) for mean in image.means)
            return boxes.new_zeros(0, channels)
        states = image.states[nearest(boxes, image.boxes)]
        features = self.features(
            states[None, None],
            _in_fractions(boxes, image.shape)[None, None],
            image.maps,
            image.mask,
            image.valid_ratios,
        )
        return self._embeddings(
            [x[0, 0] - mean for x, mean in zip(features, image.means)]
        )

    def _embeddings(self, features: Sequence[Tensor]) -> Tensor:
        """Per map (..., C) to unit vectors of all maps."""
        weighted = [
            weight * x for weight, x in zip(self.map_weights, features)
        ]
        return F.normalize(torch.cat(weighted, -1), dim=-1)


class _MatchKeeper:
    """An assigner that keeps whom the queries were matched with.

    ``matches`` has a (Q,) tensor per call, in the order of the calls: the
    index of each query's person in the image, -1 for nobody.
    """

    def __init__(self, assigner: Any) -> None:
        self.assigner = assigner
        self.matches: list[Tensor] = []

    def assign(self, *args: Any, **kwargs: Any) -> Any:
        result = self.assigner.assign(*args, **kwargs)
        self.matches.append(result.gt_inds - 1)
        return result


class _Image(NamedTuple):
    """What the last decoder layer says of one image; boxes in its pixels."""

    boxes: Tensor
    scores: Tensor
    embeddings: Tensor
    states: Tensor
    maps: list[Tensor]
    mask: Tensor | None
    valid_ratios: Tensor
    means: list[Tensor]
    shape: tuple[int, int]


def _in_pixels(boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """Boxes (n, 4) cx, cy, w, h as fractions to x1, y1, x2, y2 in pixels.

    Cut at the edges of an image (height, width).
    """
    x1, y1, x2, y2 = bbox_cxcywh_to_xyxy(boxes).unbind(-1)
    height, width = shape
    return torch.stack(
        [
            (edge * size).clamp(0, size)
            for edge, size in zip(
                (x1, y1, x2, y2), (width, height, width, height)
            )
        ],
        -1,
    )


def _in_fractions(boxes: Tensor, shape: tuple[int, int]) -> Tensor:
    """The inverse of :func:`_in_pixels`."""
    height, width = shape
    boxes = scale_boxes(boxes, (1 / width, 1 / height))
    return bbox_xyxy_to_cxcywh(boxes)


def _overlaps(
    boxes: Tensor,
    people: list[tuple[Tensor, Tensor, Tensor]],
    truth: InstanceList,
    metas: list[dict],
) -> list[Tensor]:
    """IoU of matched queries' boxes with those of their people, per layer.

    Args:
        boxes: (L, N, Q, 4) cx, cy, w, h as fractions.
        people: Per layer image, query and person.
        truth: Annotated people of the images.
        metas: Of the images.
    """
    annotated = torch.cat([get_box_tensor(one.bboxes) for one in truth])
    sizes = [meta['img_shape'][::-1] * 2 for meta in metas]
    factors = boxes.new_tensor(sizes)
    return [
        bbox_overlaps(
            bbox_cxcywh_to_xyxy(layer[image, query].detach()) * factors[image],
            annotated[person],
            is_aligned=True,
        )
        for layer, (image, query, person) in zip(boxes, people)
    ]

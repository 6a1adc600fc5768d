"""The one-stage person-search head of PCNet."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_norm_layer
from mmdet.models.dense_heads import RetinaHead
from mmdet.models.task_modules.samplers import SamplingResult
from mmdet.models.utils import images_to_levels, multi_apply
from mmdet.structures.bbox import bbox_overlaps, cat_boxes, get_box_tensor
from mmdet.utils import InstanceList, OptConfigType, OptInstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers.aggregation import location_centres
from ..utils import samples_per_process, true_indices
from .dense_prediction import DensePredictionMixin, flatten_predictions
from .search_boxes import flatten_maps


@MODELS.register_module()
class PCNetHead(DensePredictionMixin, RetinaHead):
    """RetinaNet head that also gives every person an embedding (PCNet).

    Point pooling turns the pyramid into re-identification maps F_reid, the
    detection towers read these maps ("re-id first"), and an aggregation
    turns the feature f' at a person's location into its embedding f. It
    works in any mmdet single-stage detector: query boxes travel in the data
    samples and their embeddings are written beside them, in the same pass.

    Args:
        num_classes (int): Classes; one, the person. Defaults to 1.
        in_channels (int): Channels of the pyramid. Defaults to 256.
        embed_dims (int): Channels of F_reid and the embedding.
            Defaults to 256.
        feat_channels (int): Width of the detection towers (64 in the light
            version). Defaults to 256.
        stacked_convs (int): Convolutions per tower. Defaults to 4.
        shared_tower (bool): One tower for classification and regression.
            Defaults to False.
        reid_from (str): What point pooling reads: 'neck', or the last map of
            the 'cls' or 'reg' tower (PCNet, Table 2). Defaults to 'neck'.
        det_from (str): What the towers read: 'reid' or 'neck' (a parallel
            re-id branch, PCNet, Table 3). Defaults to 'reid'.
        point_pooling (dict): A module from pyramid maps to
            :class:`PointFeatures`. Defaults to ContextualPointPooling.
        aggregation (dict, optional): A module from f', boxes and maps to f,
            such as CrossScaleAggregation. Defaults to None: f = f'.
        memory (dict): The identity memory.
        loss_reid (dict): A loss on the memory's readout. Defaults to
            OIMLoss, a mean over all positives (eq. 14).
        loss_dist (dict, optional): Eq. 6, on the points of positives.
        loss_tri (dict, optional): Eq. 11, on f and f' of positives.
        reid_norm_cfg (dict, optional): Norm before L2, one for f and one for
            f' (``dict(type='BN1d')`` in the release). Defaults to None.
        inclusive_boxes (bool): Boxes that come in, annotated and of queries,
            and those of detections that go out end at the last pixel inside,
            as maskrcnn-benchmark's and PCNet's release's do, and not at the
            edge behind it. Anchors and deltas take them one pixel further to
            the right and down; the aggregation takes them as they are.
            Defaults to False.
        **kwargs: See mmdet's RetinaHead.

    For ``test_cfg`` see :class:`DensePredictionMixin`.
    """

    def __init__(
        self,
        num_classes: int = 1,
        in_channels: int = 256,
        embed_dims: int = 256,
        feat_channels: int = 256,
        stacked_convs: int = 4,
        shared_tower: bool = False,
        reid_from: str = 'neck',
        det_from: str = 'reid',
        point_pooling: OptConfigType = None,
        aggregation: OptConfigType = None,
        memory: OptConfigType = None,
        loss_reid: OptConfigType = None,
        loss_dist: OptConfigType = None,
        loss_tri: OptConfigType = None,
        reid_norm_cfg: OptConfigType = None,
        inclusive_boxes: bool = False,
        **kwargs,
    ) -> None:
        _check_choice('reid_from', reid_from, ('neck', 'cls', 'reg'))
        _check_choice('det_from', det_from, ('reid', 'neck'))
        if reid_from != 'neck' and det_from == 'reid':
            raise ValueError(
                f'reid_from={reid_from!r} reads a detection tower, which '
                "must not read F_reid in turn: set det_from='neck'"
            )
        self.embed_dims = embed_dims
        self.shared_tower = shared_tower
        self.reid_from = reid_from
        self.det_from = det_from
        self.point_pooling_cfg = dict(
            point_pooling or dict(type='mmps.ContextualPointPooling')
        )
        super().__init__(
            num_classes,
            in_channels,
            stacked_convs=stacked_convs,
            feat_channels=feat_channels,
            **kwargs,
        )
        strides = [s[0] for s in self.prior_generator.strides]
        self.aggregation = None
        if aggregation is not None:
            self.aggregation = MODELS.build(
                {'channels': embed_dims, 'strides': strides, **aggregation}
            )
        self.memory = MODELS.build(
            {
                'type': 'mmps.IdentityMemory',
                'embed_dims': embed_dims,
                **(memory or {}),
            }
        )
        self.loss_reid = MODELS.build(
            loss_reid or dict(type='mmps.OIMLoss', mean_over='people')
        )
        self.loss_dist = MODELS.build(loss_dist) if loss_dist else None
        if self.loss_dist and not hasattr(self.point_pooling, 'points'):
            raise ValueError(
                'loss_dist needs sampled points, and '
                f'{type(self.point_pooling).__name__} has a fixed grid: set '
                'loss_dist=None'
            )
        self.loss_tri = MODELS.build(loss_tri) if loss_tri else None
        self.inclusive_boxes = inclusive_boxes
        self.reid_norm = self.own_norm = None
        if reid_norm_cfg is not None:
            self.reid_norm = build_norm_layer(reid_norm_cfg, embed_dims)[1]
            self.own_norm = build_norm_layer(reid_norm_cfg, embed_dims)[1]

    def _init_layers(self) -> None:
        """Towers, predictions and point pooling."""
        per_anchor = self.det_from == 'reid'
        det_in = self.embed_dims if per_anchor else self.in_channels
        self.cls_convs = self._tower(det_in)
        self.reg_convs = (
            self.cls_convs if self.shared_tower else self._tower(det_in)
        )
        tower_out = self.feat_channels if self.stacked_convs else det_in
        # A map of F_reid belongs to one anchor, a neck map to all of them.
        anchors = 1 if per_anchor else self.num_base_priors
        self.retina_cls = nn.Conv2d(
            tower_out, anchors * self.cls_out_channels, 3, padding=1
        )
        self.retina_reg = nn.Conv2d(
            tower_out, anchors * self.bbox_coder.encode_size, 3, padding=1
        )
        self.point_pooling = MODELS.build(
            {
                'in_channels': (
                    self.in_channels if self.reid_from == 'neck' else tower_out
                ),
                'out_channels': self.embed_dims,
                'num_levels': self.prior_generator.num_levels,
                'num_anchors': self.num_base_priors,
                **self.point_pooling_cfg,
            }
        )

    def _tower(self, channels: int) -> nn.Sequential:
        widths = [channels] + [self.feat_channels] * self.stacked_convs
        return nn.Sequential(
            *(
                ConvModule(
                    before,
                    after,
                    3,
                    padding=1,
                    conv_cfg=self.conv_cfg,
                    norm_cfg=self.norm_cfg,
                )
                for before, after in zip(widths[:-1], widths[1:])
            )
        )

    def forward(self, x: Sequence[Tensor]) -> tuple:
        """Pyramid maps to scores, deltas, F_reid and offsets.

        Args:
            x (Sequence[Tensor]): Per level (N, C, H, W).

        Returns:
            tuple: Per level: class scores (N, A, H, W) and box deltas
            (N, 4A, H, W), both fp32 also under autocast, F_reid
            (N, A, D, H, W), and offsets (N, A, 2K, H, W), or None for point
            pooling on a fixed grid.
        """
        if self.det_from == 'reid':
            feats, offsets = self.point_pooling(x)
            cls, reg = self._towers([f.flatten(0, 1) for f in feats])
        else:
            cls, reg = self._towers(x)
            source = {'neck': x, 'cls': cls, 'reg': reg}[self.reid_from]
            feats, offsets = self.point_pooling(source)
        scores = _per_image(self.retina_cls, cls, feats)
        deltas = _per_image(self.retina_reg, reg, feats)
        return scores, deltas, feats, offsets

    def _towers(self, x: Sequence[Tensor]) -> tuple[list, list]:
        cls = [self.cls_convs(m) for m in x]
        if self.shared_tower:
            return cls, cls
        return cls, [self.reg_convs(m) for m in x]

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        feats: list[Tensor],
        offsets: list[Tensor] | None,
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> dict:
        """All terms of eq. 14; updates the memory after reading it.

        Args: the four outputs of :meth:`forward`, then as in mmdet, with
            ``person_ids`` (n,) in the ground truth.

        Returns:
            dict: ``loss_cls`` and ``loss_bbox`` per level, ``loss_reid``,
            and ``loss_dist``, ``loss_tri`` where configured.
        """
        sizes = [score.shape[-2:] for score in cls_scores]
        anchors, valid = self.get_anchors(
            sizes, batch_img_metas, device=cls_scores[0].device
        )
        *targets, avg_factor, samples = self.get_targets(
            anchors,
            valid,
            [self._from_given(truth) for truth in batch_gt_instances],
            batch_img_metas,
            batch_gt_instances_ignore=batch_gt_instances_ignore,
            return_sampling_results=True,
        )
        avg_factor = samples_per_process(avg_factor, cls_scores[0])
        flat_anchors = [cat_boxes(levels) for levels in anchors]
        level_anchors = images_to_levels(
            flat_anchors, [len(level) for level in anchors[0]]
        )
        loss_cls, loss_bbox = multi_apply(
            self.loss_by_feat_single,
            cls_scores,
            bbox_preds,
            level_anchors,
            *targets,
            avg_factor=avg_factor,
        )
        positives = self.positive_locations(targets[0], samples)
        ious = None
        if self.memory.needs_ious:
            image, anchor = positives
            deltas = flatten_predictions(bbox_preds, 4).detach()
            found = self.bbox_coder.decode(
                get_box_tensor(flat_anchors[0])[anchor], deltas[image, anchor]
            )
            truth = [get_box_tensor(s.pos_gt_bboxes) for s in samples]
            ious = bbox_overlaps(found, torch.cat(truth), is_aligned=True)
        return dict(
            loss_cls=loss_cls,
            loss_bbox=loss_bbox,
            **self._reid_losses(
                feats,
                offsets,
                positives,
                samples,
                batch_gt_instances,
                ious,
            ),
        )

    def _from_given(self, instances: InstanceData) -> InstanceData:
        """Annotated people with boxes as anchors and deltas mean them."""
        if not self.inclusive_boxes:
            return instances
        boxes = self.from_given(get_box_tensor(instances.bboxes))
        return InstanceData(**{**dict(instances.items()), 'bboxes': boxes})

    def positive_locations(
        self, labels: Sequence[Tensor], samples: Sequence[SamplingResult]
    ) -> tuple[Tensor, Tensor]:
        """Image and anchor of every positive, without asking the device.

        Args:
            labels (Sequence[Tensor]): Per level (N, anchors of the level).
            samples (Sequence[SamplingResult]): Per image; they number the
                anchors inside the image only.

        Returns:
            tuple: (P,) indices of images and of anchors, image after image,
            in the order of the sampling results.
        """
        positive = torch.cat(labels, 1) != self.num_classes
        count = sum(len(sample.pos_inds) for sample in samples)
        where = true_indices(positive.flatten(), count)
        return where // positive.size(1), where % positive.size(1)

    def _reid_losses(
        self,
        feats: list[Tensor],
        offsets: list[Tensor] | None,
        positives: tuple[Tensor, Tensor],
        samples: Sequence[SamplingResult],
        batch_gt_instances: InstanceList,
        ious: Tensor | None = None,
    ) -> dict:
        """Losses on positive locations (:meth:`positive_locations`)."""
        image, anchor = positives
        boxes = self.to_given(
            torch.cat([get_box_tensor(s.pos_gt_bboxes) for s in samples])
        )
        person_ids = torch.cat(
            [
                gt.person_ids[sample.pos_assigned_gt_inds]
                for sample, gt in zip(samples, batch_gt_instances, strict=True)
            ]
        )
        own = flatten_maps(feats)[image, anchor].float()
        counts = [len(sample.pos_inds) for sample in samples]
        embeddings = self._aggregate(
            own.split(counts), boxes.split(counts), feats
        )
        embeddings = self._unit(torch.cat(embeddings), self.reid_norm)
        positives = samples_per_process(len(person_ids), person_ids)

        readout = self.memory(embeddings)
        losses = dict(loss_reid=self.loss_reid(readout, person_ids))
        if self.loss_tri is not None:
            losses['loss_tri'] = self.loss_tri(
                embeddings,
                self._unit(own, self.own_norm),
                person_ids,
                avg_factor=positives,
            )
        if self.loss_dist is not None:
            losses['loss_dist'] = self.loss_dist(
                self._positive_points(feats, offsets, image, anchor)[..., 1],
                boxes[:, 3] - boxes[:, 1],
                avg_factor=positives,
            )
        if len(person_ids) == 0:
            # Distributed training wants every parameter in the graph.
            losses['loss_reid'] = losses['loss_reid'] + self._zero()
        self.memory.update(embeddings.detach(), person_ids, None, ious)
        return losses

    def _zero(self) -> Tensor:
        modules = (self.aggregation, self.reid_norm, self.own_norm)
        params = [p for m in modules if m is not None for p in m.parameters()]
        return 0 * sum(p.sum() for p in params)

    def _positive_points(
        self,
        feats: list[Tensor],
        offsets: list[Tensor],
        image: Tensor,
        anchor: Tensor,
    ) -> Tensor:
        """(P, K, 2) points (x, y) in input pixels that positives sample."""
        per_anchor = self._anchor_geometry(feats)
        return self.point_pooling.points(
            per_anchor[anchor, :2],
            flatten_maps(offsets)[image, anchor],
            per_anchor[anchor, 2],
        )

    def _anchor_geometry(self, feats: list[Tensor]) -> Tensor:
        """(anchors, 3): centre x, y and stride, in input pixels."""
        strides = [s[0] for s in self.prior_generator.strides]
        # Of the cells that are sampled, wherever the anchors' centres are.
        centres = location_centres(feats, strides, 0.5)
        # One by one: a tensor of them would wait for the device.
        stride = torch.cat(
            [
                centres.new_full((f.size(-2) * f.size(-1),), s)
                for f, s in zip(feats, strides, strict=True)
            ]
        )
        geometry = torch.cat((centres, stride[:, None]), 1)
        return geometry.repeat_interleave(self.num_base_priors, 0)

    def _aggregate(
        self,
        own: Sequence[Tensor],
        boxes: Sequence[Tensor],
        feats: list[Tensor],
    ) -> list[Tensor]:
        """f from f', per image; candidates are means over the anchors."""
        if self.aggregation is None:
            return list(own)
        if self.num_base_priors == 1:
            maps = [f[:, 0] for f in feats]
        else:
            maps = [f.mean(1) for f in feats]
        return self.aggregation(own, boxes, maps)

    def _add_points(
        self,
        results: InstanceList,
        feats: list[Tensor],
        offsets: list[Tensor] | None,
    ) -> None:
        if offsets is None:
            raise ValueError(
                'test_cfg.return_points needs a point pooling with sampled '
                f'points, got {type(self.point_pooling).__name__}'
            )
        geometry = self._anchor_geometry(feats)
        for found, all_offsets in zip(results, flatten_maps(offsets)):
            where = geometry[found.anchors]
            found.points = self.point_pooling.points(
                where[:, :2], all_offsets[found.anchors], where[:, 2]
            )


def _per_image(
    layer: nn.Module, maps: Sequence[Tensor], feats: Sequence[Tensor]
) -> list[Tensor]:
    """A layer's output per level and image.

    In fp32: mmcv's focal loss and NMS have no bfloat16 kernel, and in fp16
    the focal loss is not a number for logits above about 8.5.
    """
    return [
        layer(x).float().reshape(len(f), -1, *x.shape[2:])
        for x, f in zip(maps, feats)
    ]


def _check_choice(name: str, value: str, choices: tuple) -> None:
    if value not in choices:
        raise ValueError(f'{name} must be one of {choices}, got {value!r}')

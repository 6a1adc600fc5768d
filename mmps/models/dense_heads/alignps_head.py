"""The anchor-free person-search head of AlignPS."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, build_norm_layer
from mmdet.models.dense_heads import FCOSHead
from mmdet.structures.bbox import bbox_overlaps, get_box_tensor
from mmdet.utils import InstanceList, OptConfigType, OptInstanceList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from mmps.registry import MODELS

from ..layers import ModulatedDeformConvPack
from ..memories import needs_cosines
from .dense_prediction import (
    DenseOutputs,
    DensePredictionMixin,
    flatten_predictions,
)
from .search_boxes import flatten_maps

_ALL, _NONE = (-1, 1e8), (-2, -1)


@MODELS.register_module()
class AlignPSHead(DensePredictionMixin, FCOSHead):
    """FCOS head that also gives every person an embedding (AlignPS).

    The neck's map is the re-identification map, without a layer of its own:
    what a location of it holds, at unit length, is the embedding of the
    person found there. The towers of FCOS read the same map ("re-id
    first"). People are found on the first level alone; the others only
    learn, in training, that they hold nobody.

    It works in any mmdet single-stage detector, such as FCOS: query boxes
    travel in the data samples and their embeddings are written beside them,
    in the same pass.

    Source: Yan et al., "Anchor-Free Person Search" (AlignPS), CVPR 2021.

    Args:
        num_classes (int): Classes; one, the person. Defaults to 1.
        in_channels (int): Channels of the levels, and the size of the
            embedding. Defaults to 256.
        regress_ranges (Sequence[tuple]): Per level the least and the largest
            extent of people who are found on it, from the location, in input
            pixels. Defaults to everybody on the first of five.
        subtract_mean (bool): Take the mean over the map from each level that
            people are found on, before all else. Defaults to True.
        memory (dict): The identity memory.
        loss_reid (dict): A loss on the memory's readout; the published code
            averages over all positives (``mean_over='people'``). Defaults to
            OIMLoss.
        loss_tri (dict, optional): One more, BatchHardTripletLoss in AlignPS
            (TOIM). Defaults to None.
        reid_norm_cfg (dict, optional): Norm before L2. Defaults to None.
        **kwargs: See mmdet's FCOSHead. ``dcn_on_last_conv`` makes the last
            convolution of the towers a ModulatedDeformConvPack.

    For ``test_cfg`` see :class:`DensePredictionMixin`. Scores are those of
    the class by the centerness; ``score_thr`` holds for the former.
    """

    inclusive_boxes = False

    def __init__(
        self,
        num_classes: int = 1,
        in_channels: int = 256,
        regress_ranges: Sequence[tuple] = (_ALL, _NONE, _NONE, _NONE, _NONE),
        subtract_mean: bool = True,
        memory: OptConfigType = None,
        loss_reid: OptConfigType = None,
        loss_tri: OptConfigType = None,
        reid_norm_cfg: OptConfigType = None,
        **kwargs,
    ) -> None:
        super().__init__(num_classes, in_channels, regress_ranges, **kwargs)
        self.subtract_mean = subtract_mean
        self.memory = MODELS.build(
            {
                'type': 'mmps.IdentityMemory',
                'embed_dims': in_channels,
                **(memory or {}),
            }
        )
        self.loss_reid = MODELS.build(loss_reid or dict(type='mmps.OIMLoss'))
        self.loss_tri = MODELS.build(loss_tri) if loss_tri else None
        self.reid_norm = None
        if reid_norm_cfg is not None:
            self.reid_norm = build_norm_layer(reid_norm_cfg, in_channels)[1]

    def _init_cls_convs(self) -> None:
        self.cls_convs = self._tower()

    def _init_reg_convs(self) -> None:
        self.reg_convs = self._tower()

    def _tower(self) -> nn.ModuleList:
        layers = nn.ModuleList()
        for i in range(self.stacked_convs):
            conv_cfg = self.conv_cfg
            if self.dcn_on_last_conv and i == self.stacked_convs - 1:
                conv_cfg = dict(type=ModulatedDeformConvPack)
            layers.append(
                ConvModule(
                    self.feat_channels if i else self.in_channels,
                    self.feat_channels,
                    3,
                    padding=1,
                    conv_cfg=conv_cfg,
                    norm_cfg=self.norm_cfg,
                    bias=self.conv_bias,
                )
            )
        return layers

    def init_weights(self) -> None:
        """As FCOS; deformable convolutions start as plain ones."""
        super().init_weights()
        for module in self.modules():
            if isinstance(module, ModulatedDeformConvPack):
                nn.init.zeros_(module.conv_offset.weight)

    def forward(self, x: Sequence[Tensor]) -> tuple:
        """Maps of the neck to scores, distances, F_reid and centerness.

        Args:
            x (Sequence[Tensor]): Per level (N, C, H, W); the first levels
                may be all there are.

        Returns:
            tuple: Per level, fp32 but for F_reid: class logits (N, 1, H, W),
            distances to the edges (N, 4, H, W), in strides while training
            and else in input pixels (with ``norm_on_bbox``), F_reid
            (N, 1, C, H, W), and centerness logits (N, 1, H, W).
        """
        maps = [
            level - level.mean((2, 3), keepdim=True)
            if self.subtract_mean and largest > 0
            else level
            for level, (_, largest) in zip(x, self.regress_ranges)
        ]
        scores, deltas, centernesses = super().forward(maps)
        return (
            [score.float() for score in scores],
            deltas,
            [level[:, None] for level in maps],
            [centerness.float() for centerness in centernesses],
        )

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        feats: list[Tensor],
        centernesses: list[Tensor],
        batch_gt_instances: InstanceList,
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: OptInstanceList = None,
    ) -> dict:
        """FCOS' losses and those of identities; updates the memory.

        Args: the four outputs of :meth:`forward`, then as in mmdet, with
            ``person_ids`` (n,) in the ground truth.

        Returns:
            dict: ``loss_cls``, ``loss_bbox``, ``loss_centerness``,
            ``loss_reid``, and ``loss_tri`` where configured.
        """
        losses = super().loss_by_feat(
            cls_scores,
            bbox_preds,
            centernesses,
            batch_gt_instances,
            batch_img_metas,
            batch_gt_instances_ignore,
        )
        # How many there are is the one thing that the host waits for.
        image, location = (self._people >= 0).nonzero(as_tuple=True)
        person = self._people[image, location]
        del self._people
        person_ids = torch.cat([gt.person_ids for gt in batch_gt_instances])
        person_ids = person_ids[person]
        embeddings = self._unit(
            flatten_maps(feats)[image, location], self.reid_norm
        )
        losses.update(self._reid_losses(embeddings, person_ids))
        ious = None
        if self.memory.needs_ious:
            boxes = [get_box_tensor(gt.bboxes) for gt in batch_gt_instances]
            boxes = torch.cat(boxes)[person]
            ious = self._overlaps(bbox_preds, image, location, boxes)
        self.memory.update(embeddings.detach(), person_ids, None, ious)
        return losses

    def get_targets(
        self, points: list[Tensor], batch_gt_instances: InstanceList
    ) -> tuple[list[Tensor], list[Tensor]]:
        """FCOS' targets.

        Whom every location stands for is kept in ``_people``: (N, locations)
        indices into the people of all images in a row, -1 for nobody.

        Args: see mmdet's FCOSHead.

        Returns:
            tuple: Labels and box targets, per level.
        """
        numbered, start = [], 0
        for truth in batch_gt_instances:
            # mmdet hands labels on to locations, these at the price of one.
            labels = torch.arange(
                -1 - start, -1 - start - len(truth), -1,
                device=truth.labels.device,
            )  # fmt: skip
            boxes = get_box_tensor(truth.bboxes)
            numbered.append(InstanceData(bboxes=boxes, labels=labels))
            start += len(truth)
        labels, targets = super().get_targets(points, numbered)
        self._people = torch.cat(
            [-1 - level.view(len(numbered), -1) for level in labels], 1
        ).clamp(min=-1)
        return [torch.where(one < 0, 0, one) for one in labels], targets

    def _reid_losses(self, embeddings: Tensor, person_ids: Tensor) -> dict:
        """Losses on embeddings (P, C) of positive locations."""
        readout = self.memory(embeddings, shared=needs_cosines(self.loss_tri))
        losses = dict(loss_reid=self.loss_reid(readout, person_ids))
        if self.loss_tri is not None:
            losses['loss_tri'] = self.loss_tri(readout, person_ids)
        if len(person_ids) == 0 and self.reid_norm is not None:
            # Distributed training wants every parameter in the graph.
            params = sum(p.sum() for p in self.reid_norm.parameters())
            losses['loss_reid'] = losses['loss_reid'] + 0 * params
        return losses

    def _overlaps(
        self,
        bbox_preds: list[Tensor],
        image: Tensor,
        location: Tensor,
        boxes: Tensor,
    ) -> Tensor:
        """IoU of boxes (P, 4) with those decoded at their locations."""
        points = torch.cat(
            [
                self.prior_generator.single_level_grid_priors(
                    level.shape[-2:],
                    i,
                    dtype=torch.float32,
                    device=level.device,
                    with_stride=True,
                )
                for i, level in enumerate(bbox_preds)
            ]
        )[location]
        distances = flatten_predictions(bbox_preds, 4).detach()
        distances = distances[image, location]
        if self.norm_on_bbox:
            distances = distances * points[:, 2:3]
        found = self.bbox_coder.decode(points[:, :2], distances)
        return bbox_overlaps(found, boxes, is_aligned=True)

    def dense_outputs(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        feats: list[Tensor],
        *others: list[Tensor] | None,
    ) -> list[DenseOutputs]:
        """See :meth:`DensePredictionMixin.dense_outputs`.

        Scores are those of the class by the centerness; confident are those
        whose former exceeds ``score_thr``.
        """
        (centernesses,) = others
        factors = flatten_predictions(centernesses, 1).sigmoid()
        return [
            dense._replace(scores=dense.scores * factor)
            for dense, factor in zip(
                super().dense_outputs(cls_scores, bbox_preds, feats),
                factors,
                strict=True,
            )
        ]

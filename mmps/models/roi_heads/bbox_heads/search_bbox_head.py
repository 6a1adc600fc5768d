"""A box head made of a decomposition and a classifier."""

import torch
import torch.nn.functional as F
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.structures.bbox import get_box_tensor
from torch import Tensor, nn

from mmps.registry import MODELS

from ...layers.batch_norm import batch_norm
from ...layers.decomposition import interleave
from ...layers.reid_features import ReIDFeatures
from ...utils import samples_per_process


@MODELS.register_module()
class SearchBBoxHead(BBoxHead):
    """Person or background, and box deltas, of RoI maps.

    The decomposition says what the tasks read of the map, the classifier
    what makes a person: the map, the embedding's length (NAE), or the
    identity memory (HOIM). The deltas are linear in the vertical and
    horizontal features, with a batch norm on the deltas ("BN neck") as in
    the published two-stage methods. Everything else, targets included, is
    mmdet's box head with one class and class-agnostic deltas.

    Args:
        in_channels (int): Of the RoI map. Defaults to 2048.
        roi_feat_size (int | tuple[int, int]): Of the RoI map. Defaults to 7.
        decomposition (dict, optional): Defaults to
            ``dict(type='mmps.SharedPooling')``.
        classifier (dict, optional): Defaults to
            ``dict(type='mmps.LinearClassifier')``.
        reg_norm (bool): Batch norm on the deltas. Defaults to True.
        reg_init_std (float): Of the delta layer's weights and its norm's
            scale. Defaults to 0.01.
        **kwargs: See mmdet's BBoxHead (losses, box coder).
    """

    def __init__(
        self,
        in_channels: int = 2048,
        roi_feat_size: int | tuple[int, int] = 7,
        decomposition: dict | None = None,
        classifier: dict | None = None,
        reg_norm: bool = True,
        reg_init_std: float = 0.01,
        **kwargs,
    ) -> None:
        super().__init__(
            with_avg_pool=True,
            roi_feat_size=roi_feat_size,
            in_channels=in_channels,
            num_classes=kwargs.pop('num_classes', 1),
            reg_class_agnostic=True,
            init_cfg=[],
            **kwargs,
        )
        if self.num_classes != 1:
            raise ValueError(
                'SearchBBoxHead: knows one class, the person; got num_classes='
                f'{self.num_classes}'
            )
        # mmdet's pooling and layers; the parts below take their place.
        del self.avg_pool, self.fc_cls, self.fc_reg
        self.decomposition = MODELS.build(
            {
                'type': 'mmps.SharedPooling',
                'in_channels': in_channels,
                'size': self.roi_feat_size,
                **(decomposition or {}),
            }
        )
        channels = self.decomposition.channels
        self.classifier = MODELS.build(
            {
                'type': 'mmps.LinearClassifier',
                'in_channels': channels.cls,
                **(classifier or {}),
            }
        )
        if self.needs_reid:
            self.decomposition.drop_cls()
        self.fc_vertical = nn.Linear(channels.vertical, 2)
        self.fc_horizontal = nn.Linear(channels.horizontal, 2)
        self.reg_norm = nn.BatchNorm1d(4) if reg_norm else None
        for layer in (self.fc_vertical, self.fc_horizontal, self.reg_norm):
            if layer is not None:
                nn.init.normal_(layer.weight, std=reg_init_std)
                nn.init.zeros_(layer.bias)

    @property
    def needs_reid(self) -> bool:
        """Whether the classifier reads the re-id head's output."""
        return self.classifier.needs_reid

    @property
    def pixelwise(self) -> bool:
        """Whether people are told from background at every position."""
        return getattr(self.classifier, 'pixelwise', False)

    def forward(
        self, x: Tensor, reid: ReIDFeatures | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logits and deltas of RoIs.

        Args:
            x: (N, C, h, w) RoI maps.
            reid: Of the same RoIs; needed by some classifiers.

        Returns:
            (N, 2) logits, person first, and (N, 4) deltas.
        """
        parts = self.decomposition(x)
        deltas = interleave(
            self.fc_vertical(parts.vertical),
            self.fc_horizontal(parts.horizontal),
        )
        if self.reg_norm is not None:
            deltas = batch_norm(self.reg_norm, deltas)
        return self.classifier(parts.cls, reid), deltas

    def loss(
        self,
        cls_score: Tensor | None,
        bbox_pred: Tensor | None,
        rois: Tensor,
        labels: Tensor,
        label_weights: Tensor,
        bbox_targets: Tensor,
        bbox_weights: Tensor,
        reduction_override: str | None = None,
    ) -> dict:
        """mmdet's losses; a loss with ``needs_boxes`` gets boxes too.

        A pixelwise classifier has its loss in :meth:`pixel_loss`.
        """
        if self.pixelwise:
            cls_score = None
        targets = (labels, label_weights, bbox_targets, bbox_weights)
        needs_boxes = getattr(self.loss_bbox, 'needs_boxes', False)
        losses = super().loss(
            cls_score,
            None if needs_boxes else bbox_pred,
            rois,
            *targets,
            reduction_override,
        )
        divisor = samples_per_process(len(labels), labels)
        for name in ('loss_cls', 'loss_bbox'):
            if name in losses:
                # mmdet has divided by the RoIs of this process.
                losses[name] = losses[name] * (len(labels) / divisor)
        if not needs_boxes:
            return losses
        # Once: every index by a mask would wait for the device.
        people = (labels == 0).nonzero()[:, 0]
        priors, pred = rois[people, 1:], bbox_pred[people]
        wanted = bbox_targets[people]
        losses['loss_bbox'] = self.loss_bbox(
            pred,
            wanted,
            get_box_tensor(self.bbox_coder.decode(priors, pred)),
            get_box_tensor(self.bbox_coder.decode(priors, wanted)),
            avg_factor=divisor,
        )
        return losses

    def pixel_loss(
        self, logits: Tensor, rois: Tensor, targets: tuple[Tensor, ...]
    ) -> Tensor:
        """Binary cross-entropy of every position of RoI maps (NAE+).

        A position is a person's if its centre lies in the ground-truth box.

        Args:
            logits: (N, h, w).
            rois: (N, 5).
            targets: Labels, label weights, box deltas and box weights of the
                RoIs, as of mmdet's ``get_targets``.

        Returns:
            () mean over all positions.
        """
        labels, _, deltas, _ = targets
        boxes = get_box_tensor(self.bbox_coder.decode(rois[:, 1:], deltas))
        inside = []
        for axis, size in ((0, logits.size(2)), (1, logits.size(1))):
            low, high = rois[:, 1 + axis], rois[:, 3 + axis]
            steps = torch.arange(size, device=rois.device) + 0.5
            centre = low[:, None] + (high - low)[:, None] * steps / size
            inside.append(
                (centre >= boxes[:, axis, None])
                & (centre <= boxes[:, 2 + axis, None])
            )
        target = inside[1][:, :, None] & inside[0][:, None, :]
        target = target & (labels == 0)[:, None, None]
        total = F.binary_cross_entropy_with_logits(
            logits.float(), target.float(), reduction='sum'
        )
        divisor = samples_per_process(target.numel(), logits)
        return self.loss_cls.loss_weight * total / divisor

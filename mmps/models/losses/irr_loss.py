"""Improved box regression loss of IIDFC."""

import torch.nn.functional as F
from mmdet.models.losses.utils import weight_reduce_loss
from torch import Tensor, nn

from mmps.registry import MODELS

from ..utils import samples_per_process
from .functional import ciou_loss


@MODELS.register_module()
class IRRLoss(nn.Module):
    """``gamma`` smooth-L1 on the deltas + ``beta`` CIoU on the boxes.

    Both have the same divisor. A bbox head of mmps hands it boxes as well as
    deltas, since ``needs_boxes`` is set.

    Source: Hou et al., "Improved Instance Discrimination and Feature
    Compactness for End-to-End Person Search" (IIDFC), eq. 1 to 3.

    Args:
        gamma: Share of smooth-L1. Defaults to 0.3.
        beta: Share of CIoU. Defaults to 0.7.
        smooth_l1_beta: Where smooth-L1 turns linear. Defaults to 1.0.
        loss_weight: Factor of the loss; 5 in the paper. Defaults to 1.0.
    """

    needs_boxes = True

    def __init__(
        self,
        gamma: float = 0.3,
        beta: float = 0.7,
        smooth_l1_beta: float = 1.0,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.gamma = gamma
        self.beta = beta
        self.smooth_l1_beta = smooth_l1_beta
        self.loss_weight = loss_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        pred_boxes: Tensor,
        target_boxes: Tensor,
        avg_factor: float | None = None,
    ) -> Tensor:
        """Loss of the positive samples.

        Args:
            pred: (n, 4) predicted deltas.
            target: (n, 4) deltas of the ground truth.
            pred_boxes: (n, 4) decoded predictions, xyxy.
            target_boxes: (n, 4) ground truth, xyxy.
            avg_factor: Divisor of the sum; None for n. Defaults to None.

        Returns:
            () loss; a zero in the graph without samples.
        """
        loss = self.gamma * F.smooth_l1_loss(
            pred.float(), target, reduction='none', beta=self.smooth_l1_beta
        ).sum(1) + self.beta * ciou_loss(pred_boxes, target_boxes)
        if avg_factor is None:
            avg_factor = samples_per_process(len(pred), pred)
        return self.loss_weight * weight_reduce_loss(
            loss, avg_factor=avg_factor
        )

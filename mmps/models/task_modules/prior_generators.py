"""Anchors as other frameworks round them."""

import torch
from mmdet.models.task_modules import AnchorGenerator
from torch import Tensor

from mmps.registry import TASK_UTILS


@TASK_UTILS.register_module()
class TorchvisionAnchorGenerator(AnchorGenerator):
    """Anchors whose corners lie on whole pixels, as torchvision's.

    The corners around a location are rounded, half to even. mmdet's are not,
    which moves corners by up to half a pixel; weights that were trained with
    torchvision find other boxes with them.

    For arguments see mmdet's AnchorGenerator.
    """

    def gen_single_level_base_anchors(self, *args, **kwargs) -> Tensor:
        """(A, 4) corners around a location, in pixels."""
        return super().gen_single_level_base_anchors(*args, **kwargs).round()


@TASK_UTILS.register_module()
class DetectronAnchorGenerator(AnchorGenerator):
    """Anchors with the sides of Detectron's and maskrcnn-benchmark's.

    The sides of a ratio are whole pixels before they are scaled: width
    round(base_size / sqrt(ratio)), height round(width * ratio), halves to
    the even number. With base size 8, ratio 2 and scale 4 an anchor is
    24 x 48 and not 22.6 x 45.3. These code bases write x2 and y2 of the last
    pixel inside; here they are the edges behind it, as in mmdet, and
    ``center_offset=0.5`` gives the same centres.

    Args: see mmdet's AnchorGenerator.
    """

    def gen_single_level_base_anchors(
        self,
        base_size: float,
        scales: Tensor,
        ratios: Tensor,
        center: tuple[float, float] | None = None,
    ) -> Tensor:
        """Anchors of the first location of a level.

        Args:
            base_size: Side of a square anchor at scale 1, in pixels.
            scales: (S,).
            ratios: (R,) height over width.
            center: x and y of the centres. Defaults to None,
                ``center_offset`` of the base size.

        Returns:
            (R S, 4) xyxy, in mmdet's order.
        """
        widths = (base_size / ratios.sqrt()).round()
        whole = torch.stack((widths, (widths * ratios).round()), 1)
        sides = whole[:, None] * scales[:, None]
        if not self.scale_major:
            sides = sides.transpose(0, 1)
        half = sides.reshape(-1, 2) / 2
        if center is None:
            center = (self.center_offset * base_size,) * 2
        middle = half.new_tensor(center)
        return torch.cat((middle - half, middle + half), 1)

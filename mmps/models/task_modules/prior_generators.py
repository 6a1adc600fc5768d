"""Anchors as other frameworks round them."""

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

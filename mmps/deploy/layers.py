"""Replacements of layers that the exporter cannot follow."""

import torch
import torch.nn.functional as F
from mmcv.ops import RoIAlign
from mmdet.models import DetDataPreprocessor, SingleRoIExtractor
from torch import Tensor, nn

from mmps.utils.errors import UsageError

from .operators import roi_align


class Pixels(nn.Module):
    """The data preprocessor's work on one image.

    Args:
        preprocessor: Of the detector.
    """

    def __init__(self, preprocessor: DetDataPreprocessor) -> None:
        super().__init__()
        self.preprocessor = preprocessor

    def forward(self, image: Tensor) -> Tensor:
        """(1, 3, H, W) in 0..255 to the network's input."""
        given = self.preprocessor
        if given._channel_conversion:
            image = image.flip(1)
        if given._enable_normalize:
            image = (image - given.mean) / given.std
        height, width = image.shape[-2:]
        divisor = given.pad_size_divisor
        right, bottom = -width % divisor, -height % divisor
        return F.pad(image, (0, right, 0, bottom), value=given.pad_value)


class StandardRoIAlign(nn.Module):
    """mmcv's RoIAlign as an operator that ONNX has.

    Args:
        layer: What it takes the place of.

    Raises:
        UsageError: It takes the maximum over samples.
    """

    def __init__(self, layer: RoIAlign) -> None:
        super().__init__()
        if layer.pool_mode != 'avg':
            raise UsageError("RoIAlign: expected pool_mode='avg' for ONNX")
        self.output_size = layer.output_size
        self.options = (
            layer.spatial_scale, layer.sampling_ratio, layer.aligned
        )  # fmt: skip

    def forward(self, x: Tensor, rois: Tensor) -> Tensor:
        """(N, C, H, W) and (n, 5) to (n, C, h, w)."""
        return roi_align(x, rois, *self.output_size, *self.options)


class LevelsRoIExtractor(nn.Module):
    """mmdet's extractor for any number of RoIs, without a branch.

    Args:
        extractor: What it takes the place of.
    """

    def __init__(self, extractor: SingleRoIExtractor) -> None:
        super().__init__()
        self.extractor = extractor
        self.num_inputs = extractor.num_inputs

    def forward(self, feats: list[Tensor], rois: Tensor) -> Tensor:
        """Levels (N, C, H, W) and (n, 5) to (n, C, h, w)."""
        layers = self.extractor.roi_layers
        result = layers[0](feats[0], rois)
        levels = self.extractor.map_roi_levels(rois, len(feats))
        for i in range(1, len(feats)):
            mine = (levels == i)[:, None, None, None]
            result = torch.where(mine, layers[i](feats[i], rois), result)
        return result


def replace_layers(model: nn.Module) -> None:
    """Put layers that can be exported into a detector.

    Args:
        model: Changed in place.
    """
    for name, child in list(model.named_children()):
        replace_layers(child)
        if isinstance(child, RoIAlign):
            child = StandardRoIAlign(child)
        elif isinstance(child, SingleRoIExtractor):
            child = LevelsRoIExtractor(child)
        setattr(model, name, child)

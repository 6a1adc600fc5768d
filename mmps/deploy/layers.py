"""Replacements of layers that the exporter cannot follow."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.ops import MultiScaleDeformableAttention, RoIAlign
from mmcv.ops.multi_scale_deform_attn import (
    multi_scale_deformable_attn_pytorch,
)
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
        size = image.shape[-2:]
        bottom, right = (
            padded - side
            for padded, side in zip(self.padded_size(size), size, strict=True)
        )
        return F.pad(image, (0, right, 0, bottom), value=given.pad_value)

    def padded_size(self, size: Sequence[int]) -> tuple[int, ...]:
        """Height and width of the network's input."""
        divisor = self.preprocessor.pad_size_divisor
        return tuple(side + -side % divisor for side in size)


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


class OneLevelDeformableAttention(nn.Module):
    """mmcv's deformable attention to one map, whose size is no tensor.

    Args:
        layer: What it takes the place of.

    Raises:
        UsageError: It attends to several levels.
    """

    def __init__(self, layer: MultiScaleDeformableAttention) -> None:
        super().__init__()
        if layer.num_levels != 1 or not layer.batch_first:
            raise UsageError(
                'MultiScaleDeformableAttention: ONNX has num_levels=1 and '
                f'batch_first=True only, got {layer.num_levels} and '
                f'{layer.batch_first}'
            )
        self.layer = layer

    def forward(
        self,
        query: Tensor,
        reference_points: Tensor,
        spatial_shapes: list[tuple[int, int]],
        value: Tensor | None = None,
        query_pos: Tensor | None = None,
        key_padding_mask: Tensor | None = None,
        **_,
    ) -> Tensor:
        """As mmcv's; ``spatial_shapes`` is the map's height and width."""
        given = self.layer
        heads, points = given.num_heads, given.num_points
        value = given.value_proj(query if value is None else value)
        if key_padding_mask is not None:
            value = value.masked_fill(key_padding_mask[..., None], 0)
        state = query if query_pos is None else query + query_pos
        offsets = given.sampling_offsets(state)
        offsets = offsets.unflatten(-1, (heads, 1, points, 2))
        weights = given.attention_weights(state).unflatten(-1, (heads, points))
        centre = reference_points[:, :, None, :, None]
        if centre.size(-1) == 2:
            ((height, width),) = spatial_shapes
            reach = offsets.new_tensor([1 / width, 1 / height])
        else:
            reach = centre[..., 2:] * 0.5 / points
        attended = multi_scale_deformable_attn_pytorch(
            value.unflatten(-1, (heads, -1)),
            spatial_shapes,
            centre[..., :2] + offsets * reach,
            weights.softmax(-1)[..., None, :],
        )
        return query + given.output_proj(attended)


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
        elif isinstance(child, MultiScaleDeformableAttention):
            child = OneLevelDeformableAttention(child)
        setattr(model, name, child)

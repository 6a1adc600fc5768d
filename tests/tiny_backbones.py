"""Every backbone that gives its last stage to RoIs, small."""

from typing import Any

from mmengine.config import ConfigDict

from mmps.testing import tiny_two_stage

# Config of the whole backbone, and the channels of its stages.
TINY_BACKBONES: dict[str, tuple[dict, tuple[int, ...]]] = {
    'ConvNeXt': (
        dict(
            type='mmps.ConvNeXt', depths=(1, 1, 2, 1), widths=(8, 12, 16, 24)
        ),
        (8, 12, 16, 24),
    ),
    'SemanticSwin': (
        dict(
            type='mmps.SemanticSwin',
            semantic_weight=0.6,
            embed_dims=8,
            depths=(2, 2, 2, 2),
            num_heads=(1, 2, 2, 4),
            drop_path_rate=0.0,
        ),
        (8, 16, 32, 64),
    ),
    'PVTv2': (
        dict(
            type='mmps.PVTv2',
            embed_dims=8,
            num_layers=(1, 1, 1, 1),
            num_heads=(1, 2, 4, 8),
            drop_path_rate=0.0,
        ),
        (8, 16, 32, 64),
    ),
    # The network itself is small.
    'MobileNetV3Large': (
        dict(type='mmps.MobileNetV3Large'),
        (24, 40, 112, 960),
    ),
}
TINY_BACKBONES['Swin'] = (
    dict(TINY_BACKBONES['SemanticSwin'][0], semantic_weight=None),
    TINY_BACKBONES['SemanticSwin'][1],
)


def with_backbone(model: ConfigDict, name: str) -> ConfigDict:
    """Put a backbone into a tiny two-stage model, and its stage on RoIs.

    Args:
        model: Such as :func:`tiny_two_stage` gives; changed in place.
        name: Of :data:`TINY_BACKBONES`.
    """
    backbone, channels = TINY_BACKBONES[name]
    shallow, deep = channels[2:]
    levels = model.backbone.out_indices
    model.backbone = dict(backbone, num_stages=3, out_indices=levels)
    if 'neck' in model:
        read = levels[: len(model.neck.in_channels)]
        model.neck.in_channels = [channels[level] for level in read]
    model.rpn_head.update(in_channels=shallow, feat_channels=shallow)
    head = model.roi_head
    head.bbox_roi_extractor.out_channels = shallow
    if 'backbone' in head.shared_head:
        head.shared_head.backbone = dict(backbone, num_stages=3)
    else:  # a transformer, which makes channels of its own
        head.shared_head.in_channels = shallow
        deep = head.shared_head.out_channels
    boxes = head.bbox_head
    for box in boxes if isinstance(boxes, list) else [boxes]:
        box.in_channels = deep
    projection = head.reid_head.projection
    num_levels = len(projection.in_channels)
    projection.in_channels = [shallow, deep][-num_levels:]
    return model


def two_stage_on(name: str, num_stages: int = 1, **kwargs: Any) -> ConfigDict:
    """A tiny two-stage model on a backbone of :data:`TINY_BACKBONES`."""
    return with_backbone(tiny_two_stage(num_stages, **kwargs), name)


def one_stage_on(model: ConfigDict, name: str) -> ConfigDict:
    """Put the stages below a tiny one-stage model.

    Those of strides 8 and 16, or of 4 as well for a neck of three levels.

    Args:
        model: Changed in place.
        name: Of :data:`TINY_BACKBONES`.
    """
    backbone, channels = TINY_BACKBONES[name]
    levels = range(3 - len(model.neck.in_channels), 3)
    model.backbone = dict(backbone, num_stages=3, out_indices=tuple(levels))
    model.neck.in_channels = [channels[level] for level in levels]
    nms = dict(type='nms', iou_threshold=0.4)
    model.test_cfg.update(nms_pre=20, score_thr=0.0, nms=nms, max_per_img=5)
    return model

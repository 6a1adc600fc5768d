"""Backbones that mmdet lacks, and those of mmdet that give a stage away."""

from .convnext import ConvNeXt
from .mobilenet_v3 import MobileNetV3Large
from .pvt_v2 import PVTv2
from .res2net import PlainRes2Net, Res2NetV1b
from .semantic_swin import SemanticSwin

__all__ = [
    'ConvNeXt',
    'MobileNetV3Large',
    'PVTv2',
    'PlainRes2Net',
    'Res2NetV1b',
    'SemanticSwin',
]

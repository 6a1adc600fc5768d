"""Layers of person-search models."""

from .aggregation import CrossScaleAggregation, RoIAlignAggregation
from .deform_conv import DeformConv, deform_conv2d_by_sampling
from .point_pooling import (
    ContextualPointPooling,
    ConvPointPooling,
    IdentityPointPooling,
    PointFeatures,
)

__all__ = [
    'ContextualPointPooling',
    'ConvPointPooling',
    'CrossScaleAggregation',
    'DeformConv',
    'IdentityPointPooling',
    'PointFeatures',
    'RoIAlignAggregation',
    'deform_conv2d_by_sampling',
]

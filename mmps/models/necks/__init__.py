"""Necks."""

from .aligned_feature_aggregation import AlignedFeatureAggregation
from .common_stride_mapper import CommonStrideMapper
from .shallow_fusion import ShallowFusion

__all__ = ['AlignedFeatureAggregation', 'CommonStrideMapper', 'ShallowFusion']

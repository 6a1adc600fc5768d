"""Necks."""

from .aligned_feature_aggregation import AlignedFeatureAggregation
from .shallow_fusion import ShallowFusion

__all__ = ['AlignedFeatureAggregation', 'ShallowFusion']

"""Necks."""

from .shallow_fusion import ShallowFusion

__all__ = ['ShallowFusion']

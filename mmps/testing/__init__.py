"""Helpers for tests and trials; nothing at run time needs them."""

from .demo_samples import demo_search_samples
from .dispatch import DispatchedOperators
from .half_dtypes import HALF_DTYPES

__all__ = ['HALF_DTYPES', 'DispatchedOperators', 'demo_search_samples']

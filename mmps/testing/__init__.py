"""Helpers for tests and trials; nothing at run time needs them."""

from .dispatch import DispatchedOperators
from .precision import HALF_DTYPES
from .samples import demo_search_samples

__all__ = ['HALF_DTYPES', 'DispatchedOperators', 'demo_search_samples']

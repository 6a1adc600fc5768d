"""Helpers for tests and trials; nothing at run time needs them."""

from .dispatch import DispatchedOperators
from .samples import demo_search_samples

__all__ = ['DispatchedOperators', 'demo_search_samples']

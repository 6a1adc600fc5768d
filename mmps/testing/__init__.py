"""Helpers for tests and trials; nothing at run time needs them."""

from .samples import demo_search_samples

__all__ = ['demo_search_samples']

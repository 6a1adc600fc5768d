"""Evaluation of person search: plain functions and the metric on top."""

from .metrics import PersonSearchMetric

__all__ = ['PersonSearchMetric']

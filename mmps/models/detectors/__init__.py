"""Detectors, where those of mmdet do not suffice."""

from .dense_two_stage import DenseTwoStageDetector
from .pstr import PSTR

__all__ = ['DenseTwoStageDetector', 'PSTR']

"""Detectors, where those of mmdet do not suffice."""

from .pstr import PSTR

__all__ = ['PSTR']

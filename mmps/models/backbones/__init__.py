"""Backbones that mmdet lacks."""

from .res2net import PlainRes2Net, Res2NetV1b

__all__ = ['PlainRes2Net', 'Res2NetV1b']

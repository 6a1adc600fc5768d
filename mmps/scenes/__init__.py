"""Scenes: a synthetic person-search data set, rendered from a seed."""

from .build import ScenesTree, make_scenes
from .config import ScenesConfig
from .plan import FramePlan, plan_frames
from .render import RenderedFrame, SceneRenderer

__all__ = [
    'FramePlan',
    'RenderedFrame',
    'SceneRenderer',
    'ScenesConfig',
    'ScenesTree',
    'make_scenes',
    'plan_frames',
]

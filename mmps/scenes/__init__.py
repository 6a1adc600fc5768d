"""Scenes: a synthetic person-search data set, rendered from a seed."""

from .build import ScenesTree, make_scenes
from .plan import FramePlan, plan_frames
from .render import RenderedFrame, SceneRenderer
from .scenes_config import ScenesConfig

__all__ = [
    'FramePlan',
    'RenderedFrame',
    'SceneRenderer',
    'ScenesConfig',
    'ScenesTree',
    'make_scenes',
    'plan_frames',
]

"""Transforms that keep boxes, labels and person ids in step."""

from .annotations import (
    ClipQueryBoxes,
    FilterPersonAnnotations,
    LoadPersonAnnotations,
)
from .focused_crop import FocusedCrop, PadAround, SafeCrop
from .formatting import PackPersonSearchInputs
from .loading import LoadFrame
from .person_crop import PersonRandomCrop
from .photometric import ChannelGain, Downscale
from .resizing import ShortEdgeResize, TorchvisionResize
from .wrappers import KeepPersonIds

__all__ = [
    'ChannelGain',
    'ClipQueryBoxes',
    'Downscale',
    'FilterPersonAnnotations',
    'FocusedCrop',
    'KeepPersonIds',
    'LoadFrame',
    'LoadPersonAnnotations',
    'PackPersonSearchInputs',
    'PadAround',
    'PersonRandomCrop',
    'SafeCrop',
    'ShortEdgeResize',
    'TorchvisionResize',
]

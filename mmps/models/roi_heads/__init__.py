"""RoI heads that detect people and embed them."""

from .bbox_heads import SearchBBoxHead
from .reid_head import ReIDHead
from .search_roi_head import SearchRoIHead
from .shallow_branch import AttentiveRoIExtractor, ShallowBranch

__all__ = [
    'AttentiveRoIExtractor',
    'ReIDHead',
    'SearchBBoxHead',
    'SearchRoIHead',
    'ShallowBranch',
]

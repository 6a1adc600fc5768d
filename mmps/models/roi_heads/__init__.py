"""RoI heads that detect people and embed them."""

from .bbox_heads import SearchBBoxHead
from .gallery_filter import GalleryFilter
from .reid_head import ReIDHead
from .search_roi_head import SearchRoIHead
from .shallow_branch import AttentiveRoIExtractor, ShallowBranch

__all__ = [
    'AttentiveRoIExtractor',
    'GalleryFilter',
    'ReIDHead',
    'SearchBBoxHead',
    'SearchRoIHead',
    'ShallowBranch',
]

"""Box heads of RoIs."""

from .search_bbox_head import SearchBBoxHead

__all__ = ['SearchBBoxHead']

"""Containers for ground truth and predictions of a person search."""

from .arrays import frame_of_rows, ranges
from .predictions import SearchPredictions
from .search import UNLABELLED, GallerySet, SearchGroundTruth

__all__ = [
    'UNLABELLED',
    'GallerySet',
    'SearchGroundTruth',
    'SearchPredictions',
    'frame_of_rows',
    'ranges',
]

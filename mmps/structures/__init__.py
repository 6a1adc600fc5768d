"""Containers for ground truth and predictions of a person search."""

from .arrays import frame_of_rows, ranges
from .fingerprint import fingerprint, hash_predictions
from .predictions import SearchPredictions
from .search import UNLABELLED, GallerySet, SearchGroundTruth

__all__ = [
    'UNLABELLED',
    'GallerySet',
    'SearchGroundTruth',
    'SearchPredictions',
    'fingerprint',
    'frame_of_rows',
    'hash_predictions',
    'ranges',
]

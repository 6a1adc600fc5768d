"""Containers for ground truth and predictions of a person search."""

from .fingerprint import fingerprint, hash_predictions
from .frame_splits import frame_of_rows, ranges, splits_from_counts
from .ground_truth import UNLABELLED, GallerySet, SearchGroundTruth
from .predictions import SearchPredictions
from .scene_filter import scene_scores

__all__ = [
    'UNLABELLED',
    'GallerySet',
    'SearchGroundTruth',
    'SearchPredictions',
    'fingerprint',
    'frame_of_rows',
    'hash_predictions',
    'ranges',
    'scene_scores',
    'splits_from_counts',
]

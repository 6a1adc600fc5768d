"""Hashes that tell test sets and predictions apart, on any machine."""

import hashlib
import json
from typing import Any

import numpy as np

from .ground_truth import SearchGroundTruth
from .predictions import SearchPredictions

# Boxes count in 1/1024 pixel. x2 comes from x1 + w, and how a data set
# stores them costs a last binary digit; a power of two keeps such noise away
# from where rounding decides.
_STEPS_PER_PIXEL = 1024


def fingerprint(truth: SearchGroundTruth) -> dict[str, Any]:
    """Count a test set and hash its annotations.

    The hash covers, in the data set's order, the frames' names and cameras,
    boxes, person ids and queries, and the galleries by name. It does not
    depend on where the files are, in which form they store the annotations,
    or on the machine. Boxes that differ by less than 1/2048 pixel are equal.

    >>> from mmps.structures import fingerprint
    >>> from mmps.testing import random_ground_truth
    >>> found = fingerprint(random_ground_truth(num_frames=40, num_queries=10))
    >>> found['counts']['frames'], found['counts']['queries']
    (40, 10)
    >>> len(found['sha256'])
    64

    Args:
        truth: Ground truth of the test set.

    Returns:
        ``counts``, numbers by name, with one dict per gallery, and
        ``sha256``.
    """
    digest = hashlib.sha256()
    digest.update(json.dumps(truth.frame_names).encode())
    for name in (
        'camera_ids',
        'frame_splits',
        'bboxes',
        'person_ids',
        'query_frames',
        'query_bboxes',
        'query_person_ids',
    ):
        values = getattr(truth, name)
        if name.endswith('bboxes'):
            values = _steps(values)
        _add(digest, name, values.astype('<i8'))
    galleries = {}
    for name, gallery in sorted(truth.galleries.items()):
        there = np.isfinite(gallery.bboxes[:, 0])
        rest = bool(gallery.rest_of_frames)
        digest.update(json.dumps([name, rest]).encode())
        _add(digest, 'splits', gallery.splits.astype('<i8'))
        _add(digest, 'frames', gallery.frames.astype('<i8'))
        _add(digest, 'queries', gallery.queries.astype('<i8'))
        _add(digest, 'there', there.astype('<i8'))
        _add(digest, 'bboxes', _steps(gallery.bboxes[there]))
        galleries[name] = {
            'queries': len(gallery),
            'entries': len(gallery.frames),
            'positives': int(there.sum()),
        }
    labelled = truth.person_ids[truth.person_ids >= 0]
    counts = {
        'frames': truth.num_frames,
        'cameras': len(np.unique(truth.camera_ids[truth.camera_ids >= 0])),
        'boxes': len(truth.bboxes),
        'labelled boxes': len(labelled),
        'person ids': len(np.unique(labelled)),
        'queries': truth.num_queries,
        'galleries': galleries,
    }
    return {'counts': counts, 'sha256': digest.hexdigest()}


def hash_predictions(preds: SearchPredictions) -> str:
    """SHA-256 of predictions, to the last bit, in their order."""
    digest = hashlib.sha256(json.dumps(preds.frame_names).encode())
    _add(digest, 'frame_splits', preds.frame_splits.astype('<i8'))
    for name in ('bboxes', 'scores', 'embeddings', 'query_embeddings'):
        values = getattr(preds, name)
        _add(digest, name, values.astype(values.dtype.newbyteorder('<')))
    if preds.has_scenes:
        for name in ('scene_embeddings', 'query_scene_filters'):
            values = getattr(preds, name)
            _add(digest, name, values.astype(values.dtype.newbyteorder('<')))
    return digest.hexdigest()


def _steps(boxes: np.ndarray) -> np.ndarray:
    steps = np.rint(boxes.astype(np.float64) * _STEPS_PER_PIXEL)
    return steps.astype('<i8')


def _add(digest: 'hashlib._Hash', name: str, values: np.ndarray) -> None:
    header = f'{name} {values.dtype.str} {values.shape}'
    digest.update(header.encode())
    digest.update(np.ascontiguousarray(values).data)

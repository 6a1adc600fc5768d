"""Checks of everything that a reader accepts."""

import hashlib
from collections.abc import Iterable

import numpy as np

from mmps.datasets.person_search_dataset import PersonSearchDataset
from mmps.evaluation.functional import evaluate_search
from mmps.structures import (
    GallerySet,
    SearchGroundTruth,
    SearchPredictions,
    frame_of_rows,
)


class WrongResultError(AssertionError):
    """A reader took something that it should have refused."""


def require(fits: object, what: str) -> None:
    """Raise WrongResultError unless something holds."""
    if not fits:
        raise WrongResultError(what)


def digest(values: Iterable[object]) -> str:
    """One text for many values; equal for equal ones."""
    found = hashlib.sha256()
    for value in values:
        if isinstance(value, np.ndarray):
            found.update(f'{value.dtype}{value.shape}'.encode())
            value = value.tobytes()
        elif not isinstance(value, bytes):
            value = repr(value).encode()
        found.update(value + b'\0')
    return found.hexdigest()


def check_dataset(dataset: PersonSearchDataset) -> str:
    """Look at every frame of a data set, and search in it.

    Args:
        dataset: As its reader made it.

    Returns:
        Digest of all that it says.
    """
    raw = dataset.metainfo['raw_person_ids']
    require(list(raw) == sorted(set(raw)), 'raw ids in order')
    require(all(0 <= i < 2**53 for i in raw), f'raw ids {raw[:3]}')
    values: list[object] = [raw]
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        boxes, ids = info['gt_bboxes'], info['person_ids']
        check_boxes(boxes, 'people')
        require(boxes.shape == (len(ids), 4), 'an id per box')
        require(((ids >= -1) & (ids < len(raw))).all(), 'ids out of range')
        require(info['frame_name'], 'a frame without a name')
        require(-1 <= info['camera_id'] < 2**31, 'camera')
        if 'height' in info:
            sides = info['height'], info['width']
            require(0 < min(sides) <= max(sides) < 2**31, f'size {sides}')
        require(not np.isinf(info.get('timestamp', 0)), 'timestamp')
        values += [info.get(k) for k in ('frame_name', 'camera_id', 'height')]
        values += [info.get('timestamp'), boxes, ids]
        if dataset.split == 'test':
            check_boxes(info['query_bboxes'], 'queries')
            values += [info['query_bboxes'], info['query_indices']]
    if dataset.split == 'test':
        values += check_truth(dataset.metainfo['search'])
    return digest(values)


def check_truth(truth: SearchGroundTruth) -> list[object]:
    """Look at ground truth, and judge perfect predictions by it."""
    check_boxes(truth.query_bboxes, 'queries')
    known = set(truth.person_ids.tolist())
    for gallery in truth.galleries.values():
        check_gallery_set(gallery)
    values: list[object] = [truth.query_person_ids, sorted(known)]
    for gallery in truth.galleries.values():
        values += [gallery.frames, gallery.bboxes, gallery.queries]
        values += [gallery.splits, gallery.rest_of_frames]
    if truth.num_queries:
        one_hot = np.eye(max(known) + 2, dtype=np.float32)
        preds = SearchPredictions(
            truth.frame_names,
            truth.frame_splits,
            truth.bboxes,
            np.ones(len(truth.bboxes)),
            one_hot[truth.person_ids],
            one_hot[np.minimum(truth.query_person_ids, len(one_hot) - 1)],
        )
        values += check_figures(truth, preds)
    return values


def check_gallery_set(gallery: GallerySet) -> None:
    """Every entry has a whole box or none."""
    there = ~np.isnan(gallery.bboxes).all(axis=1)
    boxes = gallery.bboxes[there]
    require(np.isfinite(boxes).all(), 'gallery box is not finite')
    require((boxes[:, 2:] >= boxes[:, :2]).all(), 'gallery box upside down')


def check_figures(
    truth: SearchGroundTruth, preds: SearchPredictions
) -> list[object]:
    """Every figure is one: from 0 to 1, never NaN."""
    values: list[object] = []
    for result in evaluate_search(truth, preds).values():
        aps = result.aps
        require(((aps >= 0) & (aps <= 1 + 1e-12)).all(), f'AP {aps}')
        require((result.num_found <= result.num_positives).all(), 'found')
        require((result.first_ranks >= -1).all(), 'rank')
        values += [aps, result.first_ranks, result.num_positives]
    return values


def check_predictions(preds: SearchPredictions) -> list[object]:
    """All is finite, and as long as it should be."""
    require(
        len(frame_of_rows(preds.frame_splits)) == len(preds.bboxes), 'splits'
    )
    for name in ('bboxes', 'scores', 'embeddings', 'query_embeddings'):
        value = getattr(preds, name)
        require(np.isfinite(value).all(), f'{name} is not finite')
    return [preds.frame_names, preds.frame_splits, preds.bboxes] + [
        preds.scores, preds.embeddings, preds.query_embeddings,
    ]  # fmt: skip


def check_boxes(boxes: np.ndarray, what: str) -> None:
    """Finite, and with an area."""
    require(np.isfinite(boxes).all(), f'{what}: box is not finite')
    require((boxes[:, 2:] > boxes[:, :2]).all(), f'{what}: no area')

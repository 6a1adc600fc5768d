"""Search tasks: queries, their galleries and right answers."""

from dataclasses import dataclass

import numpy as np

from mmps.structures import GallerySet, SearchGroundTruth, ranges

REGULAR, CROSS_CAMERA, SAME_CAMERA = 'regular', 'cross-camera', 'same-camera'
PROTOCOLS = (REGULAR, CROSS_CAMERA, SAME_CAMERA)


@dataclass
class SearchTask:
    """One protocol on one gallery.

    Args:
        name: 'regular', 'cross-camera', '100', '100_cross-camera', ...
        queries: (q,) rising indices into the query list; "row" below is a
            position in it.
        num_positives: (q,) gallery entries that hold the person, found or
            not.
        rows: (P,) row of each box that a detection may be right on, rising.
        frames: (P,) its frame.
        bboxes: (P, 4) the box. Two boxes of one row and frame count as one
            positive, and a match with either is right.
        in_gallery: (q, F) bool, the frames of each row's gallery.
        skip_empty: Whether rows without a positive are left out of the
            means. Only where the protocol itself took the positives away.
    """

    name: str
    queries: np.ndarray
    num_positives: np.ndarray
    rows: np.ndarray
    frames: np.ndarray
    bboxes: np.ndarray
    in_gallery: np.ndarray
    skip_empty: bool


def build_tasks(
    truth: SearchGroundTruth,
    protocols: tuple[str, ...] = (REGULAR,),
    galleries: tuple[str, ...] | None = None,
) -> list[SearchTask]:
    """Build every protocol on every gallery.

    Args:
        truth: Ground truth of the test set.
        protocols: Of 'regular', 'cross-camera' (frames of the query's
            camera are left out) and 'same-camera' (only those).
        galleries: Names of ``truth.galleries``; None means all, or the
            implicit one (every frame but the query's own) where the data
            set names none.

    Returns:
        Tasks, gallery by gallery.

    Raises:
        ValueError: Unknown protocol or gallery, or a camera protocol on
            frames without camera ids.
    """
    for protocol in protocols:
        if protocol not in PROTOCOLS:
            raise ValueError(
                f'protocol {protocol!r}: expected one of {PROTOCOLS}'
            )
        if protocol != REGULAR and (truth.camera_ids < 0).any():
            raise ValueError(
                f'protocol {protocol!r} needs the camera of every frame, '
                f'and this data set does not name them all'
            )
    if not protocols:
        raise ValueError(f'protocols: expected one or more of {PROTOCOLS}')
    if galleries is None:
        galleries = tuple(truth.galleries)
    for name in galleries:
        if name not in truth.galleries:
            known = ', '.join(truth.galleries) or 'none: its queries search '
            known += '' if truth.galleries else 'every other frame'
            raise ValueError(
                f'gallery {name!r}: the galleries of this data set are {known}'
            )
    if not galleries:
        return [_implicit_task(truth, protocol) for protocol in protocols]
    return [
        _explicit_task(truth, name, protocol)
        for name in galleries
        for protocol in protocols
    ]


def _camera_mask(
    truth: SearchGroundTruth, queries: np.ndarray, protocol: str
) -> np.ndarray:
    """(q, F) bool: the frames whose camera the protocol allows."""
    if protocol == REGULAR:
        return np.ones((len(queries), truth.num_frames), dtype=bool)
    own = truth.camera_ids[truth.query_frames[queries]]
    same = own[:, None] == truth.camera_ids
    return same if protocol == SAME_CAMERA else ~same


def _implicit_task(truth: SearchGroundTruth, protocol: str) -> SearchTask:
    queries = np.arange(truth.num_queries)
    in_gallery = _camera_mask(truth, queries, protocol)
    in_gallery[queries, truth.query_frames] = False

    by_person = np.argsort(truth.person_ids, kind='stable')
    sorted_person_ids = truth.person_ids[by_person]
    starts = np.searchsorted(sorted_person_ids, truth.query_person_ids, 'left')
    ends = np.searchsorted(sorted_person_ids, truth.query_person_ids, 'right')
    rows = np.repeat(queries, ends - starts)
    boxes = by_person[ranges(starts, ends - starts)]
    frames = truth.box_frames[boxes]
    keep = in_gallery[rows, frames]
    rows, frames, boxes = rows[keep], frames[keep], boxes[keep]

    # A person drawn twice in one frame is one positive.
    entries = np.unique(rows * truth.num_frames + frames)
    return SearchTask(
        name=protocol,
        queries=queries,
        num_positives=np.bincount(
            entries // max(truth.num_frames, 1), minlength=len(queries)
        ),
        rows=rows,
        frames=frames,
        bboxes=truth.bboxes[boxes],
        in_gallery=in_gallery,
        skip_empty=protocol != REGULAR,
    )


def _explicit_task(
    truth: SearchGroundTruth, name: str, protocol: str
) -> SearchTask:
    gallery = truth.galleries[name]
    counts = np.diff(gallery.splits)
    order = np.argsort(gallery.queries, kind='stable')
    queries = gallery.queries[order]
    # Row (in rising query order) of each entry, in the file's order.
    row_of_list = np.empty(len(order), dtype=np.int64)
    row_of_list[order] = np.arange(len(order))
    entry_rows = np.repeat(row_of_list, counts)

    in_gallery = np.zeros((len(queries), truth.num_frames), dtype=bool)
    in_gallery[entry_rows, gallery.frames] = True
    first = _first_mentions(gallery, in_gallery[row_of_list], counts)
    if gallery.rest_of_frames:
        # Own frame: only where the list itself names it.
        own = in_gallery[np.arange(len(queries)), truth.query_frames[queries]]
        in_gallery[:] = True
        in_gallery[np.arange(len(queries)), truth.query_frames[queries]] = own
    allowed = _camera_mask(truth, queries, protocol)
    in_gallery &= allowed

    entries = np.flatnonzero(~np.isnan(gallery.bboxes[:, 0]))
    rows, frames = entry_rows[entries], gallery.frames[entries]
    keep = allowed[rows, frames]
    entries, rows, frames = entries[keep], rows[keep], frames[keep]
    num_positives = np.bincount(rows, minlength=len(queries))
    # A frame listed twice is searched once, for its first entry's box, but
    # both entries count as positives (as in SeqNet's evaluation).
    entries = entries[first[entries]]
    entries = entries[np.argsort(entry_rows[entries], kind='stable')]
    return SearchTask(
        name=name if protocol == REGULAR else f'{name}_{protocol}',
        queries=queries,
        num_positives=num_positives,
        rows=entry_rows[entries],
        frames=gallery.frames[entries].astype(np.int64),
        bboxes=gallery.bboxes[entries],
        in_gallery=in_gallery,
        skip_empty=protocol != REGULAR,
    )


def _first_mentions(
    gallery: GallerySet, listed: np.ndarray, counts: np.ndarray
) -> np.ndarray:
    """(E,) bool: whether a list names the entry's frame the first time."""
    first = np.ones(len(gallery.frames), dtype=bool)
    # Sorting millions of entries only to find the few repeats is slow.
    repeats = np.flatnonzero(np.count_nonzero(listed, axis=1) != counts)
    entries = ranges(gallery.splits[repeats], counts[repeats])
    lists = np.repeat(repeats, counts[repeats])
    key = lists * listed.shape[1] + gallery.frames[entries]
    _, kept = np.unique(key, return_index=True)
    first[entries] = False
    first[entries[kept]] = True
    return first

"""Ground truth of person search: frames, people, queries, galleries.

Plain numpy containers, shared by data sets, metric, tools and pictures.
Boxes are ``(x1, y1, x2, y2)`` in pixels of the original image; the boxes of
all frames are one flat array, cut up by offsets (``frame_splits``).
"""

from dataclasses import dataclass, field

import numpy as np

from .array_checks import (
    check_finite,
    check_range,
    integers,
    names_list,
    numbers,
)
from .frame_splits import check_splits, frame_of_rows

UNLABELLED = -1


@dataclass
class GallerySet:
    """One explicit gallery per query (the CUHK-SYSU protocols).

    The entries of the i-th query are ``frames[splits[i]:splits[i + 1]]``.

    Args:
        splits: (q + 1,) offsets of the queries' entries.
        frames: (E,) frame index of each entry.
        bboxes: (E, 4) the query person's box in that entry, a row of NaN
            where the person is not in it.
        queries: (q,) indices into the query list; None means every query in
            order.
        rest_of_frames: Whether the frames that a query does not list are in
            its gallery as well, without the person (the full-set protocol).
    """

    splits: np.ndarray
    frames: np.ndarray
    bboxes: np.ndarray
    queries: np.ndarray | None = None
    rest_of_frames: bool = False

    def __post_init__(self) -> None:
        self.splits = numbers('splits', self.splits, (None,), np.int64)
        self.frames = integers('frames', self.frames, (None,))
        self.bboxes = numbers(
            'bboxes', self.bboxes, (len(self.frames), 4), floating=True
        )
        check_splits('splits', self.splits, len(self.frames))
        _check_entries(self.bboxes)
        if self.queries is None:
            self.queries = np.arange(len(self.splits) - 1)
        self.queries = numbers(
            'queries', self.queries, (len(self.splits) - 1,), np.int64
        )
        if len(np.unique(self.queries)) != len(self.queries):
            raise ValueError('queries: a query is listed twice')

    def __len__(self) -> int:
        """Number of queries."""
        return len(self.queries)


def _check_entries(bboxes: np.ndarray) -> None:
    """Raise ValueError for a box that is neither one nor all NaN."""
    x1, y1, x2, y2 = bboxes.T
    # Millions are looked at; NaN and infinity stay in a sum.
    with np.errstate(over='ignore', invalid='ignore'):
        odd = np.flatnonzero(~np.isfinite(x1 + y1 + x2 + y2))
    odd = odd[~np.isnan(bboxes[odd]).all(axis=1)]
    turned = np.flatnonzero((x2 < x1) | (y2 < y1))
    for row in (*odd[:1], *turned[:1]):
        raise ValueError(
            f'bboxes: row {row} is {bboxes[row].tolist()}, expected '
            'x1 <= x2 and y1 <= y2, or NaN alone'
        )


@dataclass
class SearchGroundTruth:
    """Frames, people, queries and galleries of one test set.

    Args:
        frame_names: F unique names, in the data set's order.
        camera_ids: (F,) camera of each frame, -1 where unknown.
        bboxes: (N, 4) all annotated boxes, frame after frame.
        person_ids: (N,) their person ids, -1 for unlabelled people.
        frame_splits: (F + 1,) offsets of the frames' boxes.
        query_bboxes: (Q, 4) in the data set's query order.
        query_person_ids: (Q,) person id of each query, never -1.
        query_frames: (Q,) index of the frame a query lives in.
        galleries: Explicit galleries by name ('50', '100', 'occlusion').
            Empty: the gallery of a query is every frame but its own.

    Raises:
        ValueError: A field has a wrong shape or an impossible value.
    """

    frame_names: list[str]
    camera_ids: np.ndarray
    bboxes: np.ndarray
    person_ids: np.ndarray
    frame_splits: np.ndarray
    query_bboxes: np.ndarray
    query_person_ids: np.ndarray
    query_frames: np.ndarray
    galleries: dict[str, GallerySet] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.frame_names = names_list(self.frame_names)
        num_frames = len(self.frame_names)
        self.camera_ids = integers(
            'camera_ids', self.camera_ids, (num_frames,)
        )
        self.bboxes = numbers('bboxes', self.bboxes, (None, 4), floating=True)
        self.person_ids = integers(
            'person_ids', self.person_ids, (len(self.bboxes),)
        )
        self.frame_splits = numbers(
            'frame_splits', self.frame_splits, (num_frames + 1,), np.int64
        )
        check_splits('frame_splits', self.frame_splits, len(self.bboxes))
        self.query_bboxes = numbers(
            'query_bboxes', self.query_bboxes, (None, 4), floating=True
        )
        num_queries = len(self.query_bboxes)
        self.query_person_ids = integers(
            'query_person_ids', self.query_person_ids, (num_queries,)
        )
        self.query_frames = integers(
            'query_frames', self.query_frames, (num_queries,)
        )
        check_finite('bboxes', self.bboxes)
        check_finite('query_bboxes', self.query_bboxes)
        if (self.query_person_ids < 0).any():
            raise ValueError(
                'query_person_ids: a query without an identity (id < 0)'
            )
        check_range('query_frames', self.query_frames, num_frames)
        for name, gallery in self.galleries.items():
            where = f'galleries[{name!r}]'
            check_range(f'{where}.frames', gallery.frames, num_frames)
            check_range(f'{where}.queries', gallery.queries, num_queries)

    @property
    def num_frames(self) -> int:
        """Number of test frames."""
        return len(self.frame_names)

    @property
    def num_queries(self) -> int:
        """Number of queries."""
        return len(self.query_bboxes)

    @property
    def box_frames(self) -> np.ndarray:
        """(N,) frame index of each annotated box."""
        return frame_of_rows(self.frame_splits)

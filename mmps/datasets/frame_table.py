"""Annotations of a data set as flat arrays, the readers' output."""

from dataclasses import dataclass, field

import numpy as np

from mmps.structures import UNLABELLED, GallerySet

# MATLAB stores ids as doubles, which hold every integer below this one.
MAX_ID = 2**53
MAX_SIDE = 2**31 - 1  # of an image, in pixels


def stack_boxes(boxes: list[np.ndarray]) -> np.ndarray:
    """Concatenate per-frame (n, 4) boxes to (N, 4) float64, N may be 0."""
    return np.concatenate([np.zeros((0, 4)), *boxes]).astype(np.float64)


def stack_person_ids(person_ids: list[np.ndarray]) -> np.ndarray:
    """Concatenate per-frame person ids to (N,) int64, N may be 0."""
    return np.concatenate([np.zeros(0, np.int64), *person_ids]).astype(
        np.int64
    )


def to_xyxy(xywh: np.ndarray) -> np.ndarray:
    """(n, 4) x, y, w, h to x1, y1, x2, y2; too large a sum is infinite."""
    with np.errstate(over='ignore', invalid='ignore'):
        return np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])


@dataclass
class FrameTable:
    """Frames, people and queries of one split, person ids as in the files.

    Boxes are (x1, y1, x2, y2) in pixels of the stored image, not clipped.

    Args:
        frame_names: F image names, in the data set's order.
        camera_ids: (F,) camera of each frame, -1 where unknown.
        frame_splits: (F + 1,) offsets of the frames' boxes.
        bboxes: (N, 4) float64.
        raw_person_ids: (N,) int64, the data set's own ids, -1 for unlabelled
            people.
        box_source: For frame index f, the name of the file its boxes are
            from, for messages.
        sizes: (F, 2) height and width, None where the files do not say.
        timestamps: (F,) seconds, NaN where unknown; None without any.
        query_frames: (Q,) frame index of each query, -1 if its frame is
            not in the split.
        query_bboxes: (Q, 4) float64.
        query_raw_person_ids: (Q,) int64, the data set's own ids.
        query_source: Name of the file the queries are from.
        query_frame_names: Q names as the query file spells them.
        galleries: Explicit galleries of the protocol, by name.
        extra_raw_person_ids: Ids that are known although no box may carry
            them.
    """

    frame_names: list[str]
    camera_ids: np.ndarray
    frame_splits: np.ndarray
    bboxes: np.ndarray
    raw_person_ids: np.ndarray
    box_source: list[str]
    sizes: np.ndarray | None = None
    timestamps: np.ndarray | None = None
    query_frames: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
    query_bboxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    query_raw_person_ids: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )
    query_source: str = ''
    query_frame_names: list[str] = field(default_factory=list)
    galleries: dict[str, GallerySet] = field(default_factory=dict)
    extra_raw_person_ids: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.int64)
    )

    def known_raw_person_ids(self) -> np.ndarray:
        """(L,) sorted ids of the labelled people, each once."""
        known = np.concatenate(
            [self.raw_person_ids, self.extra_raw_person_ids]
        )
        return np.unique(known[known != UNLABELLED])

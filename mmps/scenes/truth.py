"""Ground truth of a whole split: people of all its frames, and queries."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mmps.structures import frame_of_rows, splits_from_counts

from .plan import FramePlan
from .scenes_config import ScenesConfig

__all__ = ['SplitTruth', 'choose_queries', 'gather']


@dataclass(frozen=True)
class SplitTruth:
    """Annotations of one split, frames in the order of their names.

    Attributes:
        names: F frame names without suffix.
        cameras: (F,) camera numbers.
        boxes: (N, 4) x, y, width, height in pixels.
        person_ids: (N,) person ids as on disk, -2 unlabelled.
        hidden: (N,) share of each body that something covers.
        frame_splits: (F + 1,) offsets of the frames' boxes.
    """

    names: list[str]
    cameras: np.ndarray
    boxes: np.ndarray
    person_ids: np.ndarray
    hidden: np.ndarray
    frame_splits: np.ndarray

    @cached_property
    def frames(self) -> np.ndarray:
        """Return the frame of each box, (N,), ascending."""
        return frame_of_rows(self.frame_splits)

    @property
    def labelled_person_ids(self) -> np.ndarray:
        """Return the ids of the labelled people, ascending, each once."""
        return np.unique(self.person_ids[self.person_ids > 0])


def gather(
    plans: list[FramePlan],
    annotations: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> SplitTruth:
    """Join the frames of a split.

    Args:
        plans: F plans of one split.
        annotations: F tuples of boxes (n, 4), person ids (n,), hidden (n,).

    Returns:
        SplitTruth: Frames sorted by name.
    """
    order = sorted(range(len(plans)), key=lambda i: plans[i].name)
    counts = [len(annotations[i][1]) for i in order]
    columns = [
        np.concatenate([annotations[i][column] for i in order])
        for column in range(3)
    ]
    return SplitTruth(
        [plans[i].name for i in order],
        np.array([plans[i].camera for i in order]),
        *columns,
        frame_splits=splits_from_counts(counts),
    )


def choose_queries(
    truth: SplitTruth, config: ScenesConfig, per_camera: bool
) -> np.ndarray:
    """Return the boxes that are queries, ordered by id and camera.

    A person is a query only if a frame of another camera shows them too
    (where the split has several cameras), and another frame in any case.
    Boxes with little hidden come first, as a person would choose.

    Args:
        truth: The test split.
        config: Of which ``seed`` counts.
        per_camera: One query for each camera that saw the person, as in
            PRW; else one per person, as in CUHK-SYSU.

    Returns:
        np.ndarray: (Q,) indices of boxes.
    """
    rng = np.random.default_rng((config.seed, 51))
    camera = truth.cameras[truth.frames]
    several = len(config.cameras_of('test')) > 1
    # Chance decides between boxes that are equally clear.
    rank = np.round(truth.hidden, 1) + 0.01 * rng.random(len(camera))
    chosen = []
    for person in truth.labelled_person_ids:
        mine = np.flatnonzero(truth.person_ids == person)
        seen_by = np.unique(camera[mine])
        if len(mine) < 2 or (several and len(seen_by) < 2):
            continue
        best = [
            mine[camera[mine] == c][np.argmin(rank[mine[camera[mine] == c]])]
            for c in seen_by
        ]
        if not per_camera:
            best = [best[np.argmin(rank[best])]]
        chosen += best
    return np.array(chosen, dtype=np.int64)

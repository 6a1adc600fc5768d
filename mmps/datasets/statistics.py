"""Counts and distributions that describe a split."""

from dataclasses import dataclass

import numpy as np

from mmps.structures import UNLABELLED, frame_of_rows

from .frame_table import FrameTable

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass
class SplitStatistics:
    """What :func:`describe` finds.

    Args:
        counts: Numbers by name, in reading order.
        samples: Per-box or per-id values by name: box height and width in
            pixels, height / width, boxes per id, boxes per frame.
        cameras: One row per camera: camera, frames, boxes, labelled boxes,
            ids. Camera -1 is unknown.
    """

    counts: dict[str, float]
    samples: dict[str, np.ndarray]
    cameras: np.ndarray

    def quantiles(self) -> dict[str, np.ndarray]:
        """The five :data:`QUANTILES` of each sample, NaN if it is empty."""
        return {
            name: np.quantile(values, QUANTILES)
            if len(values)
            else np.full(len(QUANTILES), np.nan)
            for name, values in self.samples.items()
        }


def describe(table: FrameTable) -> SplitStatistics:
    """Count a split's frames, boxes, person ids, cameras and queries.

    Args:
        table: The split, from a data set's ``load_table``.
    """
    width, height = (table.bboxes[:, 2:] - table.bboxes[:, :2]).T
    labelled = table.raw_person_ids != UNLABELLED
    per_frame = np.diff(table.frame_splits)
    frames = frame_of_rows(table.frame_splits)
    cameras = table.camera_ids[frames]
    person_ids, per_id = np.unique(
        table.raw_person_ids[labelled], return_counts=True
    )
    pairs = np.unique(
        np.stack([table.raw_person_ids[labelled], cameras[labelled]]), axis=1
    )
    labelled_per_frame = np.bincount(
        frames[labelled], minlength=len(per_frame)
    )
    _, cameras_per_id = np.unique(pairs[0], return_counts=True)
    counts = {
        'frames': len(per_frame),
        'frames without a box': int((per_frame == 0).sum()),
        'frames without a labelled person': int(
            (labelled_per_frame == 0).sum()
        ),
        'boxes': len(table.bboxes),
        'labelled boxes': int(labelled.sum()),
        'unlabelled boxes': int((~labelled).sum()),
        'person ids': len(person_ids),
        'ids with one box': int((per_id == 1).sum()),
        'ids in several cameras': int((cameras_per_id > 1).sum()),
        'most boxes in a frame': int(per_frame.max(initial=0)),
        'queries': len(table.query_frames),
        'ids of queries': len(np.unique(table.query_raw_person_ids)),
    }
    if table.sizes is not None:
        # (height, width) -> limits of (x1, y1, x2, y2).
        limits = table.sizes[frames][:, ::-1]
        outside = (table.bboxes[:, :2] < 0) | (table.bboxes[:, 2:] > limits)
        counts['boxes that leave the image'] = int(outside.any(1).sum())
    return SplitStatistics(
        counts=counts,
        samples={
            'box height': height,
            'box width': width,
            'height / width': height / width,
            'boxes per id': per_id,
            'boxes per frame': per_frame,
        },
        cameras=np.array(
            [
                (
                    camera,
                    (table.camera_ids == camera).sum(),
                    (cameras == camera).sum(),
                    (labelled & (cameras == camera)).sum(),
                    (pairs[1] == camera).sum(),
                )
                for camera in np.unique(table.camera_ids)
            ],
            dtype=np.int64,
        ).reshape(-1, 5),
    )

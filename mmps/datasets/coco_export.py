"""Writing a data set in the COCO form with person ids."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mmps.structures import GallerySet, frame_of_rows
from mmps.utils.files import write_whole

from .frame_table import FrameTable


def export_coco(table: FrameTable, ann_file: Path, query_file: Path) -> None:
    """Write a split as annotation file and, with queries, query file.

    :class:`CocoPersonSearchDataset` describes the form. Person ids are the
    data set's own, image ids the frames' places from 0.

    Args:
        table: The split, from a data set's ``load_table``.
        ann_file: Annotation file to write.
        query_file: Query file to write if the split has queries.
    """
    _write(ann_file, _annotations(table))
    if not len(table.query_frames):
        return
    queries = [
        dict(image_id=frame, bbox=box, person_id=person)
        for frame, box, person in zip(
            table.query_frames.tolist(),
            _xywh(table.query_bboxes).tolist(),
            table.query_raw_person_ids.tolist(),
        )
    ]
    galleries = {k: _gallery(v) for k, v in table.galleries.items()}
    content = dict(queries=queries)
    if galleries:
        content['galleries'] = galleries
    _write(query_file, content)


def _annotations(table: FrameTable) -> dict[str, list]:
    images = []
    for i, name in enumerate(table.frame_names):
        image: dict[str, Any] = dict(id=i, file_name=name)
        if table.sizes is not None:
            image['height'], image['width'] = table.sizes[i].tolist()
        if table.camera_ids[i] >= 0:
            image['camera_id'] = int(table.camera_ids[i])
        if table.timestamps is not None and np.isfinite(table.timestamps[i]):
            image['timestamp'] = float(table.timestamps[i])
        images.append(image)
    owners = frame_of_rows(table.frame_splits)
    xywh = _xywh(table.bboxes)
    annotations = [
        dict(
            id=row,
            image_id=frame,
            category_id=1,
            bbox=box,
            area=box[2] * box[3],
            iscrowd=0,
            person_id=person,
        )
        for row, (frame, box, person) in enumerate(
            zip(owners.tolist(), xywh.tolist(), table.raw_person_ids.tolist())
        )
    ]
    return dict(
        images=images,
        annotations=annotations,
        categories=[dict(id=1, name='person')],
    )


def _gallery(gallery: GallerySet) -> dict:
    rows = np.flatnonzero(np.isfinite(gallery.bboxes[:, 0]))
    return dict(
        queries=gallery.queries.tolist(),
        splits=gallery.splits.tolist(),
        image_ids=gallery.frames.tolist(),
        rows=rows.tolist(),
        bboxes=_xywh(gallery.bboxes[rows]).tolist(),
        rest_of_frames=gallery.rest_of_frames,
    )


def _xywh(boxes: np.ndarray) -> np.ndarray:
    return np.hstack([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]])


def _write(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content))

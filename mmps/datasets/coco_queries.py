"""The query file of the COCO form: queries and explicit galleries."""

from typing import Any

import numpy as np

from mmps.structures import GallerySet

from .errors import FaultList
from .frame_table import FrameTable

_QUERY = '{image_id or file_name, bbox [x, y, w, h], person_id}'
_GALLERY = (
    'splits, image_ids, rows and bboxes, as CocoPersonSearchDataset describes'
)


def read_queries(
    content: Any,
    path: str,
    table: FrameTable,
    index: dict,
    faults: FaultList,
) -> None:
    """Fill the queries and galleries into a table.

    Args:
        content: The parsed query file.
        path: Its name.
        table: The test split's frames and people.
        index: Place of each image id in the table.
        faults: Receives what is wrong.
    """
    queries, galleries = content, {}
    if isinstance(content, dict):
        queries = content.get('queries')
        galleries = content.get('galleries') or {}
    if not isinstance(queries, list):
        faults.add(path, 'has no list of queries', f'a list of {_QUERY}')
        return
    names = {name: i for i, name in enumerate(table.frame_names)}
    frames, boxes, ids, spelled = [], [], [], []
    for i, query in enumerate(queries):
        try:
            if 'image_id' in query:
                name = query['image_id']
                frame = index.get(name, -1)
            else:
                name = query['file_name']
                frame = names.get(name, -1)
            box = np.array(query['bbox'], dtype=np.float64).reshape(4)
            raw_id = query['person_id']
            if isinstance(raw_id, bool) or not isinstance(raw_id, int):
                raise TypeError
        except (KeyError, TypeError, ValueError):
            faults.add(f'{path}, query {i}', f'is {query!r:.120}', _QUERY)
            continue
        frames.append(frame)
        boxes.append(box)
        ids.append(raw_id)
        spelled.append(str(name))
    xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    table.query_frames = np.array(frames, dtype=np.int64)
    table.query_bboxes = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    table.query_raw_ids = np.array(ids, dtype=np.int64)
    table.query_frame_names = spelled
    table.query_source = path
    for name, gallery in galleries.items():
        where = f'{path}, gallery {name!r}'
        try:
            table.galleries[name] = _gallery(gallery, index, len(queries))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            faults.add(where, f'{type(error).__name__}: {error}', _GALLERY)


def _gallery(gallery: dict, index: dict, num_queries: int) -> GallerySet:
    """One gallery; errors name the field."""
    image_ids = gallery['image_ids']
    unknown = [key for key in image_ids if key not in index]
    if unknown:
        raise ValueError(f'image_ids has {unknown[0]!r}, which is no image')
    rows = np.array(gallery['rows'], dtype=np.int64)
    xywh = np.array(gallery['bboxes'], dtype=np.float32).reshape(-1, 4)
    if len(rows) != len(xywh):
        raise ValueError(f'{len(rows)} rows, but {len(xywh)} bboxes')
    if rows.size and (rows.min() < 0 or rows.max() >= len(image_ids)):
        raise ValueError(f'rows outside 0..{len(image_ids) - 1}')
    if not (np.isfinite(xywh).all() and (xywh[:, 2:] > 0).all()):
        raise ValueError('bboxes without area')
    boxes = np.full((len(image_ids), 4), np.nan, dtype=np.float32)
    boxes[rows] = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
    queries = gallery.get('queries')
    found = GallerySet(
        splits=np.array(gallery['splits'], dtype=np.int64),
        frames=np.array([index[key] for key in image_ids], dtype=np.int32),
        bboxes=boxes,
        queries=None if queries is None else np.array(queries, np.int64),
        rest_of_frames=bool(gallery.get('rest_of_frames', False)),
    )
    if found.queries.size and (
        found.queries.min() < 0 or found.queries.max() >= num_queries
    ):
        raise ValueError(f'queries outside 0..{num_queries - 1}')
    return found

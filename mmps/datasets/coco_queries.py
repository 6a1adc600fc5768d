"""The query file of the COCO form: queries and explicit galleries."""

from typing import Any

import numpy as np

from mmps.structures import GallerySet

from .errors import FaultList
from .frame_table import FrameTable, to_xyxy
from .json_files import is_id, is_key, read_bbox

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
    if not isinstance(queries, list) or not isinstance(galleries, dict):
        faults.add(
            path,
            'has no list of queries, or no object of galleries',
            f'a list of {_QUERY}, and galleries by their names',
        )
        return
    names = {name: i for i, name in enumerate(table.frame_names)}
    frames, boxes, raw_person_ids, spelled = [], [], [], []
    for i, query in enumerate(queries):
        where = f'{path}, query {i}'
        key, raw_person_id, places = None, None, index
        if isinstance(query, dict):
            key = query.get('image_id')
            raw_person_id = query.get('person_id')
            if 'image_id' not in query:
                key, places = query.get('file_name'), names
        if not is_key(key) or not is_id(raw_person_id):
            faults.add(where, f'is {query!r:.120}', _QUERY)
            continue
        box = read_bbox(query.get('bbox'), where, faults)
        if box is None:
            continue
        frames.append(places.get(key, -1))
        boxes.append(box)
        raw_person_ids.append(raw_person_id)
        spelled.append(str(key))
    xywh = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    table.query_frames = np.array(frames, dtype=np.int64)
    table.query_bboxes = to_xyxy(xywh)
    table.query_raw_person_ids = np.array(raw_person_ids, dtype=np.int64)
    table.query_frame_names = spelled
    table.query_source = path
    for name, gallery in galleries.items():
        where = f'{path}, gallery {name!r}'
        try:
            table.galleries[name] = _gallery(gallery, index, len(queries))
        except (KeyError, TypeError, ValueError) as error:
            faults.add(where, f'{type(error).__name__}: {error}', _GALLERY)


def _gallery(gallery: dict, index: dict, num_queries: int) -> GallerySet:
    """One gallery; errors name the field."""
    if not isinstance(gallery, dict):
        raise TypeError(f'is {gallery!r:.60}, no object')
    image_ids = _items(gallery, 'image_ids')
    for key in image_ids:
        if not is_key(key) or key not in index:
            raise ValueError(f'image_ids has {key!r:.60}, which is no image')
    rows = _integers(gallery, 'rows')
    xywh = _boxes(gallery, 'bboxes')
    if len(rows) != len(xywh):
        raise ValueError(f'{len(rows)} rows, but {len(xywh)} bboxes')
    if rows.size and (rows.min() < 0 or rows.max() >= len(image_ids)):
        raise ValueError(f'rows outside 0..{len(image_ids) - 1}')
    if len(np.unique(rows)) != len(rows):
        raise ValueError('rows: an entry is listed twice')
    if not (xywh[:, 2:] > 0).all():
        raise ValueError('bboxes without area')
    boxes = np.full((len(image_ids), 4), np.nan, dtype=np.float32)
    with np.errstate(over='ignore'):  # GallerySet refuses infinity
        boxes[rows] = to_xyxy(xywh)
    rest = gallery.get('rest_of_frames', False)
    if not isinstance(rest, bool):
        raise ValueError(f'rest_of_frames is {rest!r:.60}, no true or false')
    queries = None
    if gallery.get('queries') is not None:
        queries = _integers(gallery, 'queries')
    found = GallerySet(
        splits=_integers(gallery, 'splits'),
        frames=np.array([index[key] for key in image_ids], dtype=np.int32),
        bboxes=boxes,
        queries=queries,
        rest_of_frames=rest,
    )
    if found.queries.size and (
        found.queries.min() < 0 or found.queries.max() >= num_queries
    ):
        raise ValueError(f'queries outside 0..{num_queries - 1}')
    return found


def _items(gallery: dict, key: str) -> list:
    items = gallery[key]
    if not isinstance(items, list):
        raise TypeError(f'{key} is {items!r:.60}, no list')
    return items


def _boxes(gallery: dict, key: str) -> np.ndarray:
    """(n, 4) float64."""
    faults = FaultList(key)
    boxes = [read_bbox(box, key, faults) for box in _items(gallery, key)]
    if len(faults):
        raise TypeError(faults.lines[0])
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _integers(gallery: dict, key: str) -> np.ndarray:
    items = _items(gallery, key)
    if not all(map(is_id, items)):
        raise TypeError(f'{key}: expected integers')
    return np.array(items, dtype=np.int64)

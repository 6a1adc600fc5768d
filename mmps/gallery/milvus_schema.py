"""Collections of a gallery in Milvus, their rows, and filters of them."""

import math
import threading
import time
from collections.abc import Collection, Sequence

import numpy as np
from pymilvus import DataType, MilvusClient

from .milvus_link import Link
from .records import (
    MAX_NAME_BYTES,
    Filters,
    Frame,
    GalleryRows,
    stable_id,
)

# Each gallery has these three, named NAME_people and so on.
PEOPLE, FRAMES, HEADER = 'people', 'frames', 'header'
# Place of the header in NAME_header; the other rows are unfinished writes.
HEADER_ID = 0
_BOX = ['x1', 'y1', 'x2', 'y2']
LONGEST_TEXT = 65535  # bytes, of Milvus
# Milvus wants a vector in every collection.
_NO_VECTOR = [1.0, 0.0]

ROW_FIELDS = ['id', 'frame', 'place', 'score', *_BOX, 'track']
FRAME_FIELDS = [
    'id', 'name', 'source', 'number', 'camera', 'timed', 'time', 'width',
    'height',
]  # fmt: skip
_INTEGERS = {
    PEOPLE: ['frame', 'place', 'camera', 'track'],
    FRAMES: ['place', 'number', 'width', 'height'],
    HEADER: [],
}

_next_place = 0
_placing = threading.Lock()


def create_collections(link: Link, dim: int) -> None:
    """Create the collections of a gallery, the header's last."""
    for kind in (PEOPLE, FRAMES, HEADER):
        schema = MilvusClient.create_schema(auto_id=False)
        schema.add_field('id', DataType.INT64, is_primary=True)
        for name in _INTEGERS[kind]:
            schema.add_field(name, DataType.INT64)
        if kind == HEADER:
            schema.add_field('json', DataType.VARCHAR, max_length=LONGEST_TEXT)
        else:
            # Whether NaN passes a comparison differs between the engines.
            schema.add_field('timed', DataType.BOOL)
            schema.add_field('time', DataType.DOUBLE)
        if kind == FRAMES:
            for name in ('name', 'source', 'camera'):
                schema.add_field(
                    name, DataType.VARCHAR, max_length=MAX_NAME_BYTES
                )
        if kind == PEOPLE:
            schema.add_field('score', DataType.DOUBLE)
            for name in _BOX:
                schema.add_field(name, DataType.FLOAT)
        width = dim if kind == PEOPLE else len(_NO_VECTOR)
        schema.add_field('vector', DataType.FLOAT_VECTOR, dim=width)
        index = MilvusClient.prepare_index_params()
        # Vectors and queries have unit length already where they should.
        index.add_index('vector', index_type='FLAT', metric_type='IP')
        collection = f'{link.name}_{kind}'
        link.call(
            'create_collection',
            collection,
            schema=schema,
            # A row is found by the next search after its add() has returned.
            consistency_level='Strong',
        )
        # Waiting for the index takes half a second; loading waits for it.
        link.call('create_index', collection, index, sync=False)
        link.load(collection)


def take_places(num: int) -> int:
    """First of some consecutive numbers that rise with time.

    They say in which order rows were added, also by several processes.
    """
    global _next_place
    with _placing:
        first = max(_next_place, time.time_ns())
        _next_place = first + num
        return first


def header_record(row: int, text: str) -> dict:
    """A row of NAME_header."""
    return {'id': row, 'json': text, 'vector': _NO_VECTOR}


def frame_records(frames: Sequence[Frame], place: int) -> list[dict]:
    """Frames as rows of NAME_frames."""
    return [
        {
            'id': frame.id,
            'place': place,
            'name': frame.name,
            'source': frame.source,
            'number': int(frame.index),
            'camera': frame.camera,
            **_time_of(frame),
            'width': int(frame.width),
            'height': int(frame.height),
            'vector': _NO_VECTOR,
        }
        for frame in frames
    ]


def row_records(
    frames: Sequence[Frame], rows: GalleryRows, places: np.ndarray
) -> list[dict]:
    """People as rows of NAME_people.

    Strings are there as their stable ids, so filters have only numbers.
    """
    common = [
        {
            'frame': frame.id,
            'camera': stable_id(frame.camera),
            **_time_of(frame),
        }
        for frame in frames
    ]
    return [
        {
            'id': row,
            'place': place,
            **common[frame],
            'score': score,
            **dict(zip(_BOX, box)),
            'track': track,
            'vector': vector,
        }
        for row, frame, place, box, score, track, vector in zip(
            rows.ids.tolist(),
            rows.frames.tolist(),
            places.tolist(),
            rows.bboxes.tolist(),
            rows.scores.tolist(),
            rows.tracks.tolist(),
            rows.embeddings,
        )
    ]


def frame_of(record: dict) -> Frame:
    """Frame of a row of NAME_frames."""
    return Frame(
        name=record['name'],
        source=record['source'],
        index=record['number'],
        camera=record['camera'],
        time=record['time'] if record['timed'] else math.nan,
        width=record['width'],
        height=record['height'],
    )


def rows_of(records: Sequence[dict], frames: np.ndarray) -> GalleryRows:
    """Rows of NAME_people.

    Args:
        records: The rows; with their vectors if those were asked for.
        frames: (n,) index of each one's frame.
    """
    num = len(records)
    vectors = np.zeros((num, 0), np.float32)
    if num and 'vector' in records[0]:
        vectors = np.array([r['vector'] for r in records], np.float32)
    boxes = [[record[name] for name in _BOX] for record in records]
    return GalleryRows(
        ids=np.array([r['id'] for r in records], np.int64),
        frames=frames,
        bboxes=np.array(boxes, np.float32).reshape(num, 4),
        scores=np.array([r['score'] for r in records], np.float32),
        embeddings=vectors,
        tracks=np.array([r['track'] for r in records], np.int64),
    )


def one_of(field: str, ids: Collection[int], within: bool = True) -> str:
    """Expression that an integer is, or is not, one of some."""
    word = 'in' if within else 'not in'
    # No id is negative; an empty list is not allowed everywhere.
    return f'{field} {word} {sorted(int(i) for i in ids) or [-1]}'


def expression(filters: Filters | None, hidden: Collection[int]) -> str:
    """Filters as an expression of numbers alone.

    Args:
        filters: What a row has to pass. None for everything.
        hidden: Ids of frames that are half written.

    Returns:
        '' if every row passes.
    """
    filters = filters or Filters()
    terms = []
    if filters.cameras is not None:
        terms.append(one_of('camera', name_ids(filters.cameras)))
    if filters.exclude_cameras:
        gone = name_ids(filters.exclude_cameras)
        terms.append(one_of('camera', gone, within=False))
    if filters.after is not None or filters.before is not None:
        terms.append('timed == true')
    if filters.after is not None:
        terms.append(f'time >= {_number(filters.after)}')
    if filters.before is not None:
        terms.append(f'time < {_number(filters.before)}')
    if filters.min_score is not None:
        terms.append(f'score >= {_number(_rounded(filters.min_score))}')
    if filters.frames is not None:
        terms.append(one_of('frame', name_ids(filters.frames)))
    without = set(hidden).union(name_ids(filters.exclude_frames))
    if without:
        terms.append(one_of('frame', without, within=False))
    return ' and '.join(terms)


def name_ids(names: Sequence[str]) -> list[int]:
    """Stable ids of names."""
    return [stable_id(name) for name in names]


def _time_of(frame: Frame) -> dict:
    timed = not math.isnan(frame.time)
    return {'timed': timed, 'time': float(frame.time) if timed else 0.0}


def _rounded(score: float) -> float:
    """In the precision of the stored scores: 0.9 has to pass 0.9."""
    if abs(score) > float(np.finfo(np.float32).max):
        return score
    return float(np.float32(score))


def _number(value: float) -> str:
    return repr(float(value))

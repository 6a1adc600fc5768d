"""Checks that the annotations of every data set must pass."""

import numpy as np

from mmps.structures import UNLABELLED, frame_of_rows

from .errors import FaultList
from .frame_table import FrameTable

_BOX = 'finite x1 < x2 and y1 < y2, in single precision too'


def check_table(table: FrameTable, faults: FaultList) -> None:
    """Record duplicate frames, bad boxes and queries that fit nothing.

    Args:
        table: What the files say.
        faults: Receives the faults.
    """
    _check_frames(table, faults)
    box_frames = frame_of_rows(table.frame_splits)
    for row in _bad_boxes(table.bboxes):
        frame = box_frames[row]
        faults.add(
            f'{table.box_source[frame]}, frame {table.frame_names[frame]}, '
            f'box {row - table.frame_splits[frame]}',
            f'(x1, y1, x2, y2) is {_numbers(table.bboxes[row])}',
            _BOX,
        )
    _check_queries(table, faults)


def _check_frames(table: FrameTable, faults: FaultList) -> None:
    names = table.frame_names
    if not names:
        faults.add(faults.title, 'no frame in it', 'at least one')
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if not name or '\0' in name or not _is_unicode(name):
            faults.add(
                table.box_source[i], f'frame name {name!r:.60}', 'a file name'
            )
        if first.setdefault(name, i) != i:
            faults.add(
                table.box_source[i],
                f'frame {name} is listed twice, as number {first[name]} '
                f'and {i}',
                'each image once',
            )


def _is_unicode(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False


def _check_queries(table: FrameTable, faults: FaultList) -> None:
    source = table.query_source
    if source and not len(table.query_frames) and not len(faults):
        faults.add(source, 'holds no query', 'at least one')
    known = np.isin(table.query_raw_person_ids, table.known_raw_person_ids())
    for row in np.flatnonzero(table.query_frames < 0):
        faults.add(
            f'{source}, query {row}',
            f'frame {table.query_frame_names[row]} is not in the test split',
            'a test frame',
        )
    for row in np.flatnonzero(~known):
        raw_person_id = table.query_raw_person_ids[row]
        faults.add(
            f'{source}, query {row}',
            'an unlabelled person'
            if raw_person_id == UNLABELLED
            else f'unknown person id {raw_person_id}',
            'an id that a box of the test split has',
        )
    for row in _bad_boxes(table.query_bboxes):
        faults.add(
            f'{source}, query {row}',
            f'(x1, y1, x2, y2) is {_numbers(table.query_bboxes[row])}',
            _BOX,
        )


def _bad_boxes(boxes: np.ndarray) -> np.ndarray:
    """Rows of (N, 4) boxes without area or with values that are not finite."""
    with np.errstate(invalid='ignore', over='ignore'):
        boxes = boxes.astype(np.float32)  # as frames give them to a model
        good = (boxes[:, 2:] > boxes[:, :2]).all(1)
    return np.flatnonzero(~(good & np.isfinite(boxes).all(1)))


def _numbers(box: np.ndarray) -> str:
    return '(' + ', '.join(f'{v:g}' for v in box) + ')'

"""CUHK-SYSU's test protocols: queries, and for each an explicit gallery."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmps.structures import GallerySet, frame_of_rows, splits_from_counts

from .errors import FaultList
from .frame_table import to_xyxy
from .mat_files import OTHER_FORM, one_box, one_string, read_mat
from .mat_stream import TextIndex, UnusualMatError, stream_struct

_ID_NAME = re.compile(r'p([0-9]{1,15})')
_FORM = (
    'a struct array with Query (imname, idlocate, idname) and Gallery '
    '(imname, idlocate)'
)


@dataclass
class Protocol:
    """One protocol file; boxes are (x, y, w, h), frames -1 if unknown.

    Args:
        path: The file.
        query_names: q image names.
        query_frames: (q,) their frame index.
        query_boxes: (q, 4) float64.
        query_person_ids: (q,) person ids of the data set.
        splits: (q + 1,) offsets of the queries' gallery entries.
        frames: (E,) int32 frame index of each entry.
        boxes: (E, 4) float32, NaN where the person is not in the entry.
    """

    path: Path
    query_names: list[str]
    query_frames: np.ndarray
    query_boxes: np.ndarray
    query_person_ids: np.ndarray
    splits: np.ndarray
    frames: np.ndarray
    boxes: np.ndarray

    def query_keys(self) -> list[tuple]:
        """Frame and box of each query, to recognise it in another file."""
        return [
            (int(frame), *box)
            for frame, box in zip(
                self.query_frames, self.query_boxes.tolist(), strict=True
            )
        ]

    def positives(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Frames (P,), boxes (P, 4) and person ids (P,) of labelled boxes.

        Queries first, then the gallery entries that show their query.
        """
        rows = np.flatnonzero(np.isfinite(self.boxes[:, 0]))
        owner = frame_of_rows(self.splits)[rows]
        return (
            np.concatenate([self.query_frames, self.frames[rows]]),
            np.concatenate([self.query_boxes, self.boxes[rows]]),
            np.concatenate(
                [self.query_person_ids, self.query_person_ids[owner]]
            ),
        )

    def gallery(
        self, order: dict[tuple, int], faults: FaultList
    ) -> GallerySet | None:
        """The galleries as a :class:`~mmps.structures.GallerySet`.

        Args:
            order: :meth:`query_keys` of the data set's query list, and
                their places in it.
            faults: Receives queries that are not in the list.
        """
        places = [order.get(key, -1) for key in self.query_keys()]
        for row, place in enumerate(places):
            if place < 0:
                faults.add(
                    f'{self.path}, query {row}',
                    f'{self.query_names[row]} with box (x, y, w, h) '
                    f'{self.query_boxes[row].tolist()} is no query of the '
                    'other protocol files',
                    'the same queries in every file',
                )
        if -1 in places or len(set(places)) < len(places):
            if -1 not in places:
                faults.add(self.path, 'lists a query twice', 'each once')
            return None
        try:
            return GallerySet(
                splits=self.splits,
                frames=self.frames,
                bboxes=to_xyxy(self.boxes),
                queries=np.array(places, dtype=np.int64),
            )
        except ValueError as error:
            faults.add(self.path, str(error), 'boxes (x, y, w, h)')
            return None


def read_protocol(
    path: Path, key: str, frame_index: dict[str, int], faults: FaultList
) -> Protocol | None:
    """Read ``TestG*.mat`` or a subset file of the same form.

    Args:
        path: The file.
        key: Name of its variable.
        frame_index: Place of each test image in the data set.
        faults: Receives what is wrong with the file.

    Returns:
        The protocol, or None after recording a fault.
    """
    try:
        parts = _stream(path, key, frame_index)
    except (UnusualMatError, OSError, ValueError, IndexError, MemoryError):
        parts = _read(path, key, frame_index, faults)
    if parts is None:
        return None
    num_before = len(faults)
    query_frames = np.array(
        [frame_index.get(name, -1) for name in parts.query_names], np.int64
    )
    unknown = [n for n in parts.query_names if n not in frame_index]
    for name in dict.fromkeys([*unknown, *parts.unknown]):
        faults.add(path, f'names image {name}', 'an image of pool.mat')
    query_person_ids = read_person_ids(parts.id_names, path, faults)
    if len(faults) > num_before:
        return None
    return Protocol(
        path=path,
        query_names=parts.query_names,
        query_frames=query_frames,
        query_boxes=np.array(parts.query_boxes, np.float64).reshape(-1, 4),
        query_person_ids=query_person_ids,
        splits=splits_from_counts([len(frames) for frames in parts.frames]),
        frames=np.concatenate([np.zeros(0, np.int32), *parts.frames]),
        boxes=np.concatenate([np.zeros((0, 4), np.float32), *parts.boxes]),
    )


@dataclass
class _Parts:
    """A protocol file's rows, gathered one after another."""

    query_names: list[str] = field(default_factory=list)
    query_boxes: list[np.ndarray] = field(default_factory=list)
    id_names: list[object] = field(default_factory=list)
    frames: list[np.ndarray] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def _stream(path: Path, key: str, frame_index: dict[str, int]) -> _Parts:
    """Read with :mod:`mat_stream`; raises UnusualMatError."""
    index = TextIndex(list(frame_index))
    parts = _Parts()
    for row in stream_struct(path, key):
        if not {'Query', 'Gallery'} <= set(row) or row['Query'].num != 1:
            raise UnusualMatError('a row of another form')
        query, gallery = row['Query'], row['Gallery']
        parts.query_names.append(query.strings('imname')[0].decode())
        parts.query_boxes.append(query.rows('idlocate', 4)[0])
        parts.id_names.append(
            query.strings('idname')[0].decode()
            if 'idname' in query.fields
            else None
        )
        frames = index.find(gallery.strings('imname'))
        if (frames < 0).any() or np.isnan(parts.query_boxes[-1]).any():
            raise UnusualMatError('faults, which scipy is to name')
        parts.frames.append(frames.astype(np.int32))
        with np.errstate(over='ignore'):  # GallerySet refuses infinity
            boxes = gallery.rows('idlocate', 4).astype(np.float32)
        parts.boxes.append(boxes)
    return parts


def _read(
    path: Path, key: str, frame_index: dict[str, int], faults: FaultList
) -> _Parts | None:
    """Read with scipy; None after recording a fault."""
    rows = read_mat(path, (key,), faults)
    if rows is None:
        return None
    parts = _Parts()
    try:
        queries, galleries = rows['Query'].ravel(), rows['Gallery'].ravel()
        for query, gallery in zip(queries, galleries, strict=True):
            query, gallery = query.ravel()[0], gallery.ravel()
            has_id = 'idname' in query.dtype.names
            parts.query_names.append(one_string(query['imname']))
            parts.query_boxes.append(one_box(query['idlocate']))
            parts.id_names.append(query['idname'] if has_id else None)
            names = [one_string(cell) for cell in gallery['imname']]
            parts.unknown += [n for n in names if n not in frame_index]
            parts.frames.append(
                np.array([frame_index.get(n, -1) for n in names], np.int32)
            )
            parts.boxes.append(_entry_boxes(list(gallery['idlocate'])))
    except OTHER_FORM as error:
        faults.add(path, f'{key} has another form ({error})', _FORM)
        return None
    return parts


def read_person_ids(
    names: Sequence[object], path: Path, faults: FaultList
) -> np.ndarray:
    """The numbers in idnames such as ``p10581``.

    Args:
        names: n idnames as scipy gives them.
        path: The file, for messages.
        faults: Receives names of another form among names of this one.

    Returns:
        (n,) person ids; 1 to n where no name has this form.
    """
    found = [_person_id(name) for name in names]
    if set(found) <= {None}:
        return np.arange(1, len(found) + 1)
    for i in (i for i, person_id in enumerate(found) if person_id is None):
        faults.add(path, f'idname {i} is {names[i]!r:.60}', 'p and a number')
    return np.array([person_id or 0 for person_id in found], dtype=np.int64)


def _person_id(name: object) -> int | None:
    try:
        match = _ID_NAME.fullmatch(one_string(name))
    except ValueError:
        return None
    return int(match[1]) if match else None


def _entry_boxes(cells: list[np.ndarray]) -> np.ndarray:
    """(E, 4) float32, NaN where the cell is empty."""
    boxes = np.full((len(cells), 4), np.nan, dtype=np.float32)
    rows = [i for i, cell in enumerate(cells) if cell.size]
    if rows:
        with np.errstate(over='ignore'):  # GallerySet refuses infinity
            boxes[rows] = [one_box(cells[i]) for i in rows]
    return boxes

"""CUHK-SYSU's test protocols: queries, and for each an explicit gallery."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mmps.structures import GallerySet, frame_of_rows, splits_from_counts

from .errors import FaultList
from .frame_table import to_xyxy
from .mat.elements import MatError
from .mat.mat_files import OTHER_FORM, one_box, one_string, record_damage
from .mat.struct_rows import stream_struct

_ID_NAME = re.compile(r'p([0-9]{1,15})')
_FORM = (
    'a struct array with Query (imname, idlocate, idname) and Gallery '
    '(imname, idlocate)'
)
_NO_FRAMES = np.zeros(0, np.int32)
_NO_BOXES = np.zeros((0, 4), np.float32)


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
    num_before = len(faults)
    rows: list[_Row] = []
    with record_damage(path, key, faults):
        try:
            rows += _read(path, key, _finder(frame_index))
        except MatError:
            raise
        except OTHER_FORM as error:
            faults.add(path, f'{key} has another form ({error})', _FORM)
    names = [row.name for row in rows]
    unknown = [name for name in names if name not in frame_index]
    for row in rows:
        unknown += row.unknown
    for name in dict.fromkeys(unknown):
        faults.add(path, f'names image {name}', 'an image of pool.mat')
    query_person_ids = read_person_ids(
        [row.id_name for row in rows], path, faults
    )
    if len(faults) > num_before:
        return None
    return Protocol(
        path=path,
        query_names=names,
        query_frames=np.array([frame_index[n] for n in names], np.int64),
        query_boxes=np.array([row.box for row in rows]).reshape(-1, 4),
        query_person_ids=query_person_ids,
        splits=splits_from_counts([len(row.frames) for row in rows]),
        frames=np.concatenate([_NO_FRAMES, *(row.frames for row in rows)]),
        boxes=np.concatenate([_NO_BOXES, *(row.boxes for row in rows)]),
    )


class _Row(NamedTuple):
    """A query, and its gallery entries as in :class:`Protocol`."""

    name: str
    box: np.ndarray
    id_name: np.ndarray | None
    frames: np.ndarray
    boxes: np.ndarray
    unknown: list[str]


def _read(
    path: Path, key: str, find: Callable[[np.ndarray], np.ndarray]
) -> Iterator[_Row]:
    for query, gallery in stream_struct(path, key, ('Query', 'Gallery')):
        has_id = 'idname' in query.fields
        names = gallery.strings('imname')
        frames = find(names)
        with np.errstate(over='ignore'):  # GallerySet refuses infinity
            boxes = gallery.boxes('idlocate').astype(np.float32)
        yield _Row(
            name=one_string(query.value('imname')),
            box=one_box(query.value('idlocate')),
            id_name=query.value('idname') if has_id else None,
            frames=frames,
            boxes=boxes,
            unknown=[n.decode('utf-8', 'replace') for n in names[frames < 0]],
        )


def _finder(
    frame_index: dict[str, int],
) -> Callable[[np.ndarray], np.ndarray]:
    """Function from (n,) coded names to their (n,) places, -1 for none."""
    known = np.array([b'', *map(str.encode, frame_index)])
    places = np.array([-1, *frame_index.values()], np.int32)
    order = np.argsort(known)
    known, places = known[order], places[order]

    def find(names: np.ndarray) -> np.ndarray:
        at = np.searchsorted(known, names).clip(max=len(known) - 1)
        return np.where(known[at] == names, places[at], np.int32(-1))

    return find


def read_person_ids(
    names: Sequence[object], path: Path, faults: FaultList
) -> np.ndarray:
    """The numbers in idnames such as ``p10581``.

    Args:
        names: n idnames as :func:`read_mat` gives them.
        path: The file, for messages.
        faults: Receives names of another form among names of this one.

    Returns:
        (n,) person ids; 1 to n where no name has this form.
    """
    found = [_person_id(name) for name in names]
    if set(found) <= {None}:
        return np.arange(1, len(found) + 1)
    for i in (i for i, person_id in enumerate(found) if person_id is None):
        name = np.squeeze(names[i]).tolist()
        faults.add(path, f'idname {i} is {name!r:.60}', 'p and a number')
    return np.array([person_id or 0 for person_id in found], dtype=np.int64)


def _person_id(name: object) -> int | None:
    try:
        match = _ID_NAME.fullmatch(one_string(name))
    except ValueError:
        return None
    return int(match[1]) if match else None

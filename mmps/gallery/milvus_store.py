"""Rows of a gallery in Milvus: read in pages, and replaced safely."""

import json
import time
from collections.abc import Collection, Sequence

import numpy as np

from .milvus_link import Link
from .milvus_schema import (
    FRAMES,
    HEADER,
    HEADER_ID,
    LONGEST_TEXT,
    PEOPLE,
    frame_records,
    header_record,
    one_of,
    row_records,
    take_places,
)
from .records import Frame, GalleryRows

# Of Milvus: rows that a query or search may return.
MAX_ROWS = 16384
# Bytes of one call; Milvus takes 64 MB, and its answers may have 100 MB.
CALL_BYTES = 16 * 2**20
_ROW_BYTES = 256  # of people without the vector, more than enough
_FRAME_BYTES = 16384  # with the longest name, source and camera
# Frames that become visible together; their ids fit one text field.
GROUP = 1000
_DAY = 86400 * 10**9  # ns


class Store:
    """The three collections of a gallery.

    Milvus has no transactions. So before frames are written or deleted,
    their ids go into NAME_header, with a number that rises with time. These
    frames and their people are hidden until the frames' own rows, which are
    written last, have a number as high. So frames that a crash left half
    written are never seen, and writing them again repairs them.

    Args:
        link: To Milvus.
        dim: D of the embeddings.
    """

    def __init__(self, link: Link, dim: int) -> None:
        self.link = link
        self.dim = dim

    def name(self, kind: str) -> str:
        """Of a collection."""
        return f'{self.link.name}_{kind}'

    def page(self, kind: str) -> int:
        """Rows of a collection that one call has room for."""
        sizes = {
            PEOPLE: _ROW_BYTES + 4 * self.dim,
            FRAMES: _FRAME_BYTES,
            HEADER: LONGEST_TEXT,
        }
        return min(MAX_ROWS, CALL_BYTES // sizes[kind])

    def fetch(
        self, kind: str, ids: Collection[int], fields: list[str]
    ) -> dict[int, dict]:
        """Rows by their ids, without those that are not there."""
        found = {}
        ids = sorted({i for i in ids if 0 <= i < 2**63})
        step = self.page(kind)
        for start in range(0, len(ids), step):
            rows = self.link.call(
                'query',
                self.name(kind),
                one_of('id', ids[start : start + step]),
                output_fields=fields,
                limit=step,
            )
            found.update((row['id'], row) for row in rows)
        return found

    def query(
        self, kind: str, where: str, fields: list[str], page: int = MAX_ROWS
    ) -> list[dict]:
        """All rows that pass a filter."""
        return self.link.query_all(self.name(kind), where, fields, page)

    def count(self, kind: str, where: str) -> int:
        """Number of rows that pass a filter."""
        rows = self.link.call(
            'query', self.name(kind), where, output_fields=['count(*)']
        )
        return int(rows[0]['count(*)'])

    def write(self, kind: str, records: list[dict]) -> None:
        """Add rows, in the place of those with their ids."""
        step = self.page(kind)
        for start in range(0, len(records), step):
            part = records[start : start + step]
            self.link.call('upsert', self.name(kind), part)

    def remove(self, kind: str, ids: Collection[int]) -> None:
        """Delete rows by their ids."""
        ids = sorted(ids)
        for start in range(0, len(ids), MAX_ROWS):
            where = one_of('id', ids[start : start + MAX_ROWS])
            self.link.call('delete', self.name(kind), filter=where)

    def hidden(self) -> set[int]:
        """Ids of frames that are half written."""
        return self._hidden(_latest(self._journals()))

    def present(self, ids: Sequence[int]) -> set[int]:
        """Which frames are there as a whole."""
        return self.fetch(FRAMES, ids, ['id']).keys() - self.hidden()

    def people_of(self, frames: Collection[int]) -> set[int]:
        """Ids of the people in some frames."""
        if not frames:
            return set()
        rows = self.query(PEOPLE, one_of('frame', frames), ['id'])
        return {row['id'] for row in rows}

    def replace(
        self,
        frames: Sequence[Frame],
        rows: GalleryRows,
        place: int,
        row_places: np.ndarray,
    ) -> None:
        """Write frames with all of their people.

        Args:
            frames: At most :data:`GROUP`.
            rows: Their people.
            place: Of the frames, see :func:`take_places`; that of no others.
            row_places: (n,) of the people.
        """
        ids = [frame.id for frame in frames]
        # Looking for people by their frame takes long, so only if need be.
        known = set(self.fetch(FRAMES, ids, ['id']))
        known |= _latest(self._journals()).keys() & set(ids)
        self._mark(place, ids)
        gone = self.people_of(known) - set(rows.ids.tolist())
        self.remove(PEOPLE, gone)
        self.write(PEOPLE, row_records(frames, rows, row_places))
        self.write(FRAMES, frame_records(frames, place))
        self.remove(HEADER, [place])

    def delete_frames(self, ids: Sequence[int]) -> int:
        """Delete frames with their people, and say how many those were."""
        num = 0
        for start in range(0, len(ids), GROUP):
            group = ids[start : start + GROUP]
            place = take_places(1)
            self._mark(place, group)
            people = self.people_of(group)
            num += len(people)
            self.remove(PEOPLE, people)
            self.remove(FRAMES, group)
            self.remove(HEADER, [place])
        return num

    def remove_unfinished(self) -> None:
        """Remove the remains of crashed writers, not of running ones."""
        journals = self._journals()
        if not self.link.local:
            before = time.time_ns() - _DAY
            journals = {p: f for p, f in journals.items() if p < before}
        if journals:
            marks = _latest(self._journals())
            hidden = self._hidden(marks)
            self.delete_frames(
                sorted(i for i in hidden if marks[i] in journals)
            )
            self.remove(HEADER, journals)

    def _hidden(self, marks: dict[int, int]) -> set[int]:
        if not marks:
            return set()
        rows = self.fetch(FRAMES, marks, ['id', 'place'])
        whole = {i for i, row in rows.items() if row['place'] >= marks[i]}
        return marks.keys() - whole

    def _mark(self, place: int, frames: Sequence[int]) -> None:
        """Hide frames until their rows have this place or a later one."""
        self.write(HEADER, [header_record(place, json.dumps(list(frames)))])

    def _journals(self) -> dict[int, list[int]]:
        """Writes that are under way or were never finished."""
        rows = self.query(
            HEADER, f'id > {HEADER_ID}', ['id', 'json'], self.page(HEADER)
        )
        return {row['id']: json.loads(row['json']) for row in rows}


def _latest(journals: dict[int, list[int]]) -> dict[int, int]:
    """Frames, and the last place at which each was marked."""
    return {
        frame: place for place in sorted(journals) for frame in journals[place]
    }

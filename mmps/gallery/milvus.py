"""Galleries in Milvus: milvus-lite in a folder, a server or a cluster."""

import contextlib
import dataclasses
import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .base import BaseGallery
from .errors import (
    GalleryError,
    GalleryExistsError,
    GalleryKeyError,
    GalleryNotFoundError,
)
from .header import GalleryHeader
from .milvus_link import Link, parse_uri
from .milvus_schema import (
    FRAME_FIELDS,
    FRAMES,
    HEADER,
    HEADER_ID,
    PEOPLE,
    ROW_FIELDS,
    create_collections,
    expression,
    frame_of,
    header_record,
    name_ids,
    one_of,
    rows_of,
    take_places,
)
from .milvus_store import CALL_BYTES, GROUP, MAX_ROWS, Store
from .records import (
    MARK,
    Filters,
    Frame,
    GalleryRows,
    Matches,
    as_ids,
    check_threshold,
)

_KINDS = (PEOPLE, FRAMES, HEADER)
_PICTURES = f'number != {MARK}'
_MARKS = f'number == {MARK}'
_MIN_DIM = 2  # of Milvus
# Matches fetched beyond k, to see whether equal ones were cut off.
_SPARE = 32
_CALL_HITS = 200_000


class MilvusGallery(BaseGallery):
    """Three collections: NAME_people, NAME_frames and NAME_header.

    Search is exact (FLAT). Of equal similarities, as Milvus computes them,
    those added first come first, also at the k-th place as long as fewer
    than 16384 are equal. Names of frames and cameras are fetched as a whole
    to be sorted.

    Several processes may write to a server at the same time; if two write
    the same frame, people of both may stay in it. A folder of milvus-lite is
    open in one process at a time, even to read. What was added survives the
    end of the process at any moment; milvus-lite leaves it to the system
    when it reaches the disk.
    """

    engine = 'milvus'

    def __init__(
        self, uri: str, header: GalleryHeader, read_only: bool, link: Link
    ) -> None:
        super().__init__(uri, header, read_only)
        self._link = link
        self._store = Store(link, header.dim)
        self.concurrent_writers = not link.local

    @classmethod
    def create(cls, uri: str, header: GalleryHeader) -> 'MilvusGallery':
        """Create an empty gallery."""
        if header.dtype != 'float32':
            raise GalleryError(
                f'{uri}: Milvus searches float32 exactly, not '
                f'{header.dtype}; an exact gallery holds that'
            )
        if header.dim < _MIN_DIM:
            raise GalleryError(
                f'{uri}: Milvus takes {_MIN_DIM} dimensions or more, not '
                f'{header.dim}'
            )
        path = _folder(uri)
        if path and path.exists() and (path.is_file() or any(path.iterdir())):
            raise GalleryExistsError(f'{uri}: there is something already')
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
        link = Link(uri)
        try:
            if found := _collections(link):
                raise GalleryExistsError(f'{uri}: has {found[0]} already')
            create_collections(link, header.dim)
            gallery = cls(uri, header, False, link)
            gallery._write_header(header)
        except BaseException:
            link.close()
            raise
        return gallery

    @classmethod
    def open(cls, uri: str, read_only: bool = False) -> 'MilvusGallery':
        """Open a gallery."""
        path = _folder(uri)
        if path and not path.exists():
            raise GalleryNotFoundError(f'{uri}: does not exist')
        if path and not path.is_dir():
            raise GalleryError(
                f'{uri}: is a file; galleries of milvus-lite 3 are folders'
            )
        link = Link(uri)
        try:
            found = _collections(link)
            if not found and not path:
                raise GalleryNotFoundError(f'{uri}: there is no such gallery')
            if len(found) < len(_KINDS):
                raise GalleryError(f'{uri}: is no whole gallery of mmps')
            for collection in found:
                link.load(collection)
            gallery = cls(uri, _read_header(link), read_only, link)
            if not read_only:
                with link.writing():
                    gallery._store.remove_unfinished()
        except BaseException:
            link.close()
            raise
        return gallery

    @classmethod
    def exists(cls, uri: str) -> bool:
        """Whether there are such collections, or the folder."""
        if path := _folder(uri):
            return path.is_dir()
        with contextlib.closing(Link(uri)) as link:
            return bool(_collections(link))

    def get(
        self, ids: Sequence[int], embeddings: bool = False
    ) -> tuple[GalleryRows, list[Frame]]:
        """Rows by their ids."""
        wanted = as_ids(ids, self.uri).tolist()
        with self._link.reading():
            found = self._store.fetch(PEOPLE, wanted, _fields(embeddings))
            hidden = self._store.hidden()
            rows, frames = self._with_frames(
                [
                    found[row]
                    for row in wanted
                    if row in found and found[row]['frame'] not in hidden
                ]
            )
        if len(rows) < len(wanted):
            missing = set(wanted).difference(rows.ids.tolist())
            raise GalleryKeyError(f'{self.uri}: no row {min(missing)}')
        return rows, frames

    def people_in(self, frame: str, embeddings: bool = False) -> GalleryRows:
        """People of one frame."""
        ids = name_ids([frame])
        with self._link.reading():
            if not self._store.present(ids):
                raise GalleryKeyError(f'{self.uri}: no frame {frame}')
            rows = self._store.query(
                PEOPLE,
                one_of('frame', ids),
                _fields(embeddings),
                self._store.page(PEOPLE),
            )
        rows.sort(key=lambda row: (row['place'], row['id']))
        return rows_of(rows, np.zeros(len(rows), np.int64))

    def frame(self, frame_id: int) -> Frame:
        """A frame by its stable id."""
        with self._link.reading():
            found = self._frames([frame_id])
            if frame_id not in found or frame_id in self._store.hidden():
                raise GalleryKeyError(f'{self.uri}: no frame {frame_id}')
            return found[frame_id]

    def has_frames(self, names: Sequence[str]) -> np.ndarray:
        """Which frames are there."""
        ids = name_ids(names)
        with self._link.reading():
            there = self._store.present(ids)
        return np.array([i in there for i in ids], bool)

    def list_frames(self, offset: int = 0, limit: int = 100) -> list[Frame]:
        """Some frames, sorted by name."""
        with self._link.reading():
            rows = sorted(self._all_frames('name'), key=lambda r: r['name'])
            ids = [row['id'] for row in rows[offset : offset + limit]]
            found = self._frames(ids)
        return [found[i] for i in ids if i in found]

    def cameras(self) -> list[str]:
        """Names of all cameras."""
        with self._link.reading():
            return sorted({r['camera'] for r in self._all_frames('camera')})

    def scan(
        self, batch_size: int = 4096, embeddings: bool = True
    ) -> Iterator[tuple[GalleryRows, list[Frame]]]:
        """All rows in batches; what is deleted meanwhile is left out."""
        with self._link.reading():
            names = sorted((r['name'], r['id']) for r in self._all_frames())
            rank = {frame: i for i, (_, frame) in enumerate(names)}
            people = self._store.query(
                PEOPLE, 'id >= 0', ['id', 'frame', 'place']
            )
        order = sorted(
            (rank[row['frame']], row['place'], row['id'])
            for row in people
            if row['frame'] in rank
        )
        fields = _fields(embeddings)
        for start in range(0, len(order), batch_size):
            ids = [row for *_, row in order[start : start + batch_size]]
            with self._link.reading():
                found = self._store.fetch(PEOPLE, ids, fields)
                rows = [found[row] for row in ids if row in found]
                batch = self._with_frames(rows)
            yield batch

    def count(self, filters: Filters | None = None) -> int:
        """Number of rows."""
        with self._link.reading():
            where = expression(filters, self._store.hidden())
            return self._store.count(PEOPLE, where)

    def set_threshold(self, threshold: float | None) -> None:
        """Store the lowest similarity of a match that is accepted."""
        self._check_writable()
        check_threshold(threshold)
        header = dataclasses.replace(self.header, threshold=threshold)
        with self._link.writing():
            self._write_header(header)
            self.header = header

    def persist(self) -> None:
        """Move what milvus-lite has in its log to its files."""
        self._check_writable()
        if self._link.local:
            with self._link.writing():
                for kind in _KINDS:
                    self._link.call('flush', self._store.name(kind))

    def info(self) -> dict[str, Any]:
        """Header, engine and counts; bytes of the vectors on a server."""
        with self._link.reading():
            hidden = self._store.hidden()
            rows = self._store.count(PEOPLE, expression(None, hidden))
            shown = one_of('id', hidden, within=False)
            frames = self._store.count(FRAMES, f'{_PICTURES} and {shown}')
        size = 4 * self.header.dim * rows
        if path := _folder(self.uri):
            size = _size_of(path)
        return {
            **self.header.to_json(),
            'engine': self.engine,
            'uri': self.uri,
            'rows': rows,
            'frames': frames,
            'bytes': size,
        }

    def close(self) -> None:
        """Disconnect, and let others have the folder."""
        self._link.close()

    def _search(
        self, queries: np.ndarray, k: int, filters: Filters
    ) -> Matches:
        if k > MAX_ROWS:
            raise GalleryError(
                f'k: Milvus returns at most {MAX_ROWS} matches, not {k}'
            )
        matches = Matches.none(len(queries), k)
        limit = min(k + _SPARE, MAX_ROWS)
        left = list(range(len(queries)))
        with self._link.reading():
            where = expression(filters, self._store.hidden())
            while left:
                cut_off = []
                for i, hits in self._hits(queries, left, limit, where):
                    sims = np.array([h['distance'] for h in hits], np.float32)
                    places = [hit['entity']['place'] for hit in hits]
                    best = np.lexsort((places, -sims))[:k]
                    ids = np.array([hit['id'] for hit in hits], np.int64)
                    matches.ids[i, : len(best)] = ids[best]
                    matches.similarities[i, : len(best)] = sims[best]
                    full = len(hits) == limit < MAX_ROWS
                    if full and sims[best[-1]] == sims.min():
                        cut_off.append(i)
                left, limit = cut_off, min(4 * limit, MAX_ROWS)
        return matches

    def _hits(
        self, queries: np.ndarray, which: list[int], limit: int, where: str
    ) -> Iterator[tuple[int, list[dict]]]:
        """Search for some of the queries, in calls of a fair size."""
        step = min(_CALL_HITS // limit, CALL_BYTES // (4 * self.header.dim))
        for start in range(0, len(which), step):
            part = which[start : start + step]
            found = self._link.call(
                'search',
                self._store.name(PEOPLE),
                data=queries[part],
                filter=where,
                limit=limit,
                output_fields=['place'],
            )
            yield from zip(part, found)

    def _add(self, frames: Sequence[Frame], rows: GalleryRows) -> None:
        starts = range(0, len(frames), GROUP)
        with self._link.writing():
            first = take_places(len(starts) + len(rows))
            places = first + len(starts) + np.arange(len(rows))
            for i, start in enumerate(starts):
                group = frames[start : start + GROUP]
                owner = rows.frames - start
                mine = (owner >= 0) & (owner < len(group))
                part = rows.take(mine)
                part.frames = owner[mine]
                self._store.replace(group, part, first + i, places[mine])

    def _delete(self, ids: np.ndarray, frames: Sequence[str]) -> int:
        with self._link.writing():
            hidden = self._store.hidden()
            found = self._store.fetch(PEOPLE, ids.tolist(), ['id', 'frame'])
            gone = {i for i, r in found.items() if r['frame'] not in hidden}
            self._store.remove(PEOPLE, gone)
            known = self._store.present(name_ids(frames))
            known |= self._marks_of(known)
            return len(gone) + self._store.delete_frames(sorted(known))

    def _with_frames(
        self, rows: list[dict]
    ) -> tuple[GalleryRows, list[Frame]]:
        """Rows with the frames they index, if those are still there."""
        found = self._frames([row['frame'] for row in rows])
        number = {frame: i for i, frame in enumerate(found)}
        rows = [row for row in rows if row['frame'] in found]
        index = np.array([number[row['frame']] for row in rows], np.int64)
        return rows_of(rows, index), list(found.values())

    def _frames(self, ids: Collection[int]) -> dict[int, Frame]:
        found = self._store.fetch(FRAMES, ids, FRAME_FIELDS)
        return {i: frame_of(row) for i, row in found.items()}

    def _marks_of(self, ids: Collection[int]) -> set[int]:
        """Ids of the marks of the videos that some frames are from."""
        videos = {f.video for f in self._frames(ids).values()} - {''}
        if not videos:
            return set()
        marks = self._store.query(FRAMES, _MARKS, ['id', 'source'])
        return {row['id'] for row in marks if row['source'] in videos}

    def _all_frames(self, field: str = 'name') -> list[dict]:
        hidden = self._store.hidden()
        rows = self._store.query(FRAMES, _PICTURES, ['id', field])
        return [row for row in rows if row['id'] not in hidden]

    def _write_header(self, header: GalleryHeader) -> None:
        text = json.dumps(header.to_json())
        self._store.write(HEADER, [header_record(HEADER_ID, text)])


def _fields(embeddings: bool) -> list[str]:
    return [*ROW_FIELDS, 'vector'] if embeddings else ROW_FIELDS


def _folder(uri: str) -> Path | None:
    """Of milvus-lite; None for a server."""
    address, _ = parse_uri(uri)
    return None if '://' in address else Path(address)


def _collections(link: Link) -> list[str]:
    """Those of a gallery that are there."""
    names = [f'{link.name}_{kind}' for kind in _KINDS]
    return [name for name in names if link.call('has_collection', name)]


def _read_header(link: Link) -> GalleryHeader:
    rows = link.call(
        'query',
        f'{link.name}_{HEADER}',
        one_of('id', [HEADER_ID]),
        output_fields=['json'],
    )
    try:
        data = json.loads(rows[0]['json'])
    except (IndexError, KeyError, ValueError) as err:
        raise GalleryError(f'{link.uri}: the header is unreadable') from err
    return GalleryHeader.from_json(data, link.uri)


def _size_of(folder: Path) -> int:
    size = 0
    for path in folder.rglob('*'):
        with contextlib.suppress(FileNotFoundError):  # merged meanwhile
            size += path.stat().st_size if path.is_file() else 0
    return size

"""Exact search in memory-mapped files; needs numpy only."""

import contextlib
import dataclasses
import fcntl
import logging
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmps.utils.files import TEMPORARY, write_whole

from .base import BaseGallery
from .errors import (
    GalleryError,
    GalleryExistsError,
    GalleryKeyError,
    GalleryLockedError,
    GalleryNotFoundError,
)
from .header import GalleryHeader
from .manifest import (
    MANIFEST,
    manifest_stamp,
    manifest_text,
    read_manifest,
)
from .records import (
    Filters,
    Frame,
    GalleryRows,
    Matches,
    as_ids,
    check_threshold,
    stable_id,
)
from .segments import Segment
from .topk import TopK
from .view import Part, View

LOCK = 'lock'
# Segments are merged from this number of similar ones on, up to this size.
_MERGE_COUNT = 8
_MERGE_BYTES = 256 * 2**20
# Unit vectors in float16 may be a little longer than 1.
_UNIT_NORM = 1.002

logger = logging.getLogger(__name__)


class ExactGallery(BaseGallery):
    """A folder with the rows in ``.npy`` and ``.npz`` files.

    ``gallery.json`` holds the header and the list of valid segments, with a
    checksum (remove that to change a value by hand); the file is replaced as
    a whole, after the files it names are on the disk. So a row whose
    :meth:`add` returned is never lost, and files that a crash left half
    written are not listed, and removed at the next opening.

    One process writes at a time. Any number may read meanwhile; they see
    added rows at their next search.
    """

    engine = 'exact'

    def __init__(
        self, uri: str, header: GalleryHeader, read_only: bool, lock: Any
    ) -> None:
        super().__init__(uri, header, read_only)
        self.folder = Path(uri)
        self._lock = lock
        self._writing = threading.RLock()
        self._stamp: tuple | None = None
        self._view = View()
        self._next = 0
        self._closed = False

    @classmethod
    def create(cls, uri: str, header: GalleryHeader) -> 'ExactGallery':
        """Create an empty gallery."""
        folder = Path(uri)
        _refuse_what_is_there(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock_folder(folder)
        try:
            _refuse_what_is_there(folder)
            gallery = cls(uri, header, False, lock)
            gallery._write_manifest(View())
        except BaseException:
            lock.close()
            raise
        return gallery

    @classmethod
    def open(cls, uri: str, read_only: bool = False) -> 'ExactGallery':
        """Open a gallery."""
        folder = Path(uri)
        if not cls.exists(uri):
            raise GalleryNotFoundError(f'{uri}: there is no gallery')
        lock = None if read_only else _lock_folder(folder)
        try:
            header, _ = read_manifest(folder)
            gallery = cls(uri, header, read_only, lock)
            gallery._load()
            if not read_only:
                gallery._remove_leftovers()
        except BaseException:
            if lock is not None:
                lock.close()
            raise
        return gallery

    @classmethod
    def exists(cls, uri: str) -> bool:
        """Whether the folder has a ``gallery.json``."""
        return (Path(uri) / MANIFEST).is_file()

    def _search(
        self, queries: np.ndarray, k: int, filters: Filters
    ) -> Matches:
        view = self._current()
        norm = _UNIT_NORM if self.header.normalised else None
        best = TopK(queries, k, view.vectors_of, norm)
        for part, start in zip(view.parts, view.offsets):
            vectors = part.segment.rows.embeddings
            mask = part.select(filters)
            cut = 0
            while cut < len(vectors):
                block = slice(cut, cut + best.block_rows)
                if mask[block].all():
                    best.update(vectors[block], int(start + cut))
                elif mask[block].any():
                    rows = cut + np.flatnonzero(mask[block])
                    best.update(vectors[rows], start + rows)
                cut = block.stop
        numbers, sims = best.result()
        return Matches(view.ids_of(numbers), sims.astype(np.float32))

    def _add(self, frames: Sequence[Frame], rows: GalleryRows) -> None:
        with self._writing:
            self._check_writable()
            self._append(Segment.of(frames, rows))

    def _delete(self, ids: np.ndarray, frames: Sequence[str]) -> int:
        with self._writing:
            self._check_writable()
            before = self._view.num_rows()
            gone = [stable_id(name) for name in frames]
            gone += self._view.marks_of(np.array(gone, np.int64))
            segment = Segment.of(
                [], GalleryRows.empty(self.header.dim), ids, gone
            )
            self._append(segment)
            return before - self._view.num_rows()

    def get(
        self, ids: Sequence[int], embeddings: bool = False
    ) -> tuple[GalleryRows, list[Frame]]:
        """Rows by their ids."""
        view = self._current()
        wanted = as_ids(ids, self.uri)
        parts, places = view.find_rows(wanted)
        if (parts < 0).any():
            raise GalleryKeyError(
                f'{self.uri}: no row {int(wanted[parts < 0][0])}'
            )
        return view.take(parts, places, embeddings)

    def people_in(self, frame: str, embeddings: bool = False) -> GalleryRows:
        """People of one frame."""
        view = self._current()
        part, place = self._find_frame(view, stable_id(frame), frame)
        rows = view.rows_of_frames([(part, place)])
        return view.take(*rows, embeddings)[0]

    def frame(self, frame_id: int) -> Frame:
        """A frame by its stable id."""
        view = self._current()
        part, place = self._find_frame(view, frame_id, frame_id)
        return view.parts[part].segment.frame(place)

    def has_frames(self, names: Sequence[str]) -> np.ndarray:
        """Which frames are there."""
        ids = np.array([stable_id(name) for name in names], np.int64)
        return self._current().find_frames(ids)[0] >= 0

    def list_frames(self, offset: int = 0, limit: int = 100) -> list[Frame]:
        """Some frames, sorted by name."""
        view = self._current()
        return [
            view.parts[part].segment.frame(place)
            for part, place in view.sorted_frames[offset : offset + limit]
        ]

    def cameras(self) -> list[str]:
        """Names of all cameras."""
        found = set()
        for part in self._current().parts:
            segment = part.segment
            used = np.unique(segment.frame_cameras[part.pictures])
            found.update(segment.cameras[i] for i in used)
        return sorted(found)

    def scan(
        self, batch_size: int = 4096, embeddings: bool = True
    ) -> Iterator[tuple[GalleryRows, list[Frame]]]:
        """All rows in batches, sorted by frame."""
        view = self._current()
        parts, places = view.rows_of_frames(view.sorted_frames)
        for start in range(0, len(parts), batch_size):
            cut = slice(start, start + batch_size)
            yield view.take(parts[cut], places[cut], embeddings)

    def pieces(self, num: int) -> Iterator[tuple[list[Frame], GalleryRows]]:
        """Everything in the order it was added, to be added elsewhere.

        Args:
            num: Frames at a time, marks among them.

        Yields:
            Frames and their people, as :meth:`add` takes them.
        """
        yield from self._current().pieces(num)

    def segments(self) -> list[Segment]:
        """The pieces on disk, oldest first."""
        return self._current().segments

    def count(self, filters: Filters | None = None) -> int:
        """Number of rows."""
        return self._current().num_rows(filters)

    def set_threshold(self, threshold: float | None) -> None:
        """Store the lowest similarity of a match that is accepted."""
        check_threshold(threshold)
        with self._writing:
            self._check_writable()
            self.header = dataclasses.replace(self.header, threshold=threshold)
            self._write_manifest(self._view)

    def persist(self) -> None:
        """Merge small segments; drop deleted rows where they are many."""
        with self._writing:
            self._check_writable()
            # Deleted rows can be dropped only if all segments are merged.
            wasteful = any(
                2 * int(part.rows.sum()) < len(part.rows)
                for part in self._view.parts
            )
            if wasteful:
                self._merge_from(0)
            else:
                sizes = [s.num_bytes for s in self._view.segments]
                first = len(sizes)
                while first and sum(sizes[first - 1 :]) <= _MERGE_BYTES:
                    first -= 1
                if len(sizes) - first > 1:
                    self._merge(first, len(sizes))
            self._remove_leftovers()

    def info(self) -> dict[str, Any]:
        """Header, engine and counts."""
        view = self._current()
        size = 0
        for path in self.folder.iterdir():
            with contextlib.suppress(FileNotFoundError):  # merged meanwhile
                size += path.stat().st_size
        return {
            **self.header.to_json(),
            'engine': self.engine,
            'uri': self.uri,
            'rows': view.num_rows(),
            'frames': view.num_frames,
            'segments': len(view.parts),
            'bytes': size,
        }

    def close(self) -> None:
        """Release the lock and the mapped files."""
        with self._writing:
            self._closed = self.read_only = True
            self._view = View()
            if self._lock is not None:
                self._lock.close()
                self._lock = None

    def _check_writable(self) -> None:
        self._check_open()
        super()._check_writable()

    def _check_open(self) -> None:
        if self._closed:
            raise GalleryError(f'{self.uri}: is closed')

    def _current(self) -> View:
        """The view; a reader first checks whether a writer changed it."""
        self._check_open()
        if self.read_only and manifest_stamp(self.folder) != self._stamp:
            with self._writing:
                self._load()
        return self._view

    def _load(self) -> None:
        known = {s.name: s for s in self._view.segments}
        while True:
            stamp = manifest_stamp(self.folder)
            header, data = read_manifest(self.folder)
            try:
                segments = [
                    known.get(name) or Segment.load(self.folder, name)
                    for name in data['segments']
                ]
            except FileNotFoundError as err:
                # A writer may have merged it since the manifest was read.
                if manifest_stamp(self.folder) != stamp:
                    continue
                raise GalleryError(
                    f'{self.uri}: {Path(err.filename).name} is missing'
                ) from err
            break
        if header.created != self.header.created:
            raise GalleryError(
                f'{self.uri}: was built anew since it was opened; open it '
                'again'
            )
        self.header = header
        for segment in segments:
            vectors = segment.rows.embeddings
            for what, mine, said in (
                ('dimensions', vectors.shape[1], self.header.dim),
                ('numbers', vectors.dtype, np.dtype(self.header.dtype)),
            ):
                if len(vectors) and mine != said:
                    raise GalleryError(
                        f'{self.uri}: {segment.name}.npy has {mine} {what}, '
                        f'the header says {said}'
                    )
        self._view = View.of(segments, set(data['replaces']))
        names = data['segments']
        self._next = max((int(name) for name in names), default=-1) + 1
        self._stamp = stamp

    def _append(self, segment: Segment) -> None:
        view = self._view.plus(self._save(segment))
        self._write_manifest(view)
        first = _first_to_merge([s.num_bytes for s in view.segments])
        if first is not None:
            self._merge(first, len(view.parts))

    def _merge(self, first: int, last: int) -> None:
        """Put one segment in the place of several neighbours."""
        parts = self._view.parts
        # The other masks stay: they include what the merged ones took away.
        new = Part.whole(
            self._save(self._view.merged(first, last)),
            replaces=any(part.replaces for part in parts[first:last]),
        )
        self._write_manifest(View((*parts[:first], new, *parts[last:])))
        self._remove_files({part.segment.name for part in parts[first:last]})

    def _merge_from(self, first: int) -> None:
        """Rewrite every segment, in pieces of at most the usual size."""
        while first < len(self._view.parts):
            sizes = [s.num_bytes for s in self._view.segments]
            last = first + 1
            while (
                last < len(sizes)
                and sum(sizes[first : last + 1]) <= _MERGE_BYTES
            ):
                last += 1
            self._merge(first, last)
            first += 1

    def _save(self, segment: Segment) -> Segment:
        name = f'{self._next:08d}'
        self._next += 1
        return segment.save(self.folder, name)

    def _write_manifest(self, view: View) -> None:
        replacing = [part for part in view.parts if part.replaces]
        text = manifest_text(
            self.header,
            segments=[part.segment.name for part in view.parts],
            replaces=[part.segment.name for part in replacing],
        )
        try:
            write_whole(self.folder / MANIFEST, lambda file: file.write(text))
        except BaseException:
            # The new manifest may be on the disk already, and then counts.
            with contextlib.suppress(Exception):
                self._load()
            raise
        self._view = view

    def _remove_leftovers(self) -> None:
        """Remove files that a crash left and that no manifest names."""
        self._load()  # an interrupted write may be complete on the disk
        keep = {segment.name for segment in self._view.segments}
        left = {
            path.name.partition('.')[0]
            for path in self.folder.glob('[0-9]*.np*')
        } - keep
        if left:
            logger.warning(
                '%s: removed %d unfinished writes', self.uri, len(left)
            )
        self._remove_files(left)
        for path in self.folder.glob('*.tmp'):
            path.unlink(missing_ok=True)

    def _remove_files(self, names: set[str]) -> None:
        for name in names:
            for suffix in ('npz', 'npy'):
                (self.folder / f'{name}.{suffix}').unlink(missing_ok=True)

    def _find_frame(
        self, view: View, frame_id: int, shown: object
    ) -> tuple[int, int]:
        if 0 <= frame_id < 2**63:
            part, place = view.find_frames(np.array([frame_id], np.int64))
            if part[0] >= 0:
                return int(part[0]), int(place[0])
        raise GalleryKeyError(f'{self.uri}: no frame {shown}')


def _first_to_merge(sizes: list[int]) -> int | None:
    """First of the last segments that are worth being merged, if any.

    At least eight, below a limit together, the largest no more than half of
    their sum: so each row is rewritten only a few times.
    """
    found, total, largest = None, 0, 0
    for first in range(len(sizes) - 1, -1, -1):
        total += sizes[first]
        largest = max(largest, sizes[first])
        if total > _MERGE_BYTES:
            break
        if len(sizes) - first >= _MERGE_COUNT and 2 * largest <= total:
            found = first
    return found


def _refuse_what_is_there(folder: Path) -> None:
    """Raise unless a folder is missing, or holds only what a crash left."""
    if folder.exists() and (
        not folder.is_dir()
        or any(
            path.name != LOCK and path.suffix != TEMPORARY
            for path in folder.iterdir()
        )
    ):
        raise GalleryExistsError(f'{folder}: there is something already')


def _lock_folder(folder: Path) -> Any:
    """Hold the right to write, until the file is closed or the process ends.

    Raises:
        GalleryLockedError: Another process holds it.
    """
    lock = (folder / LOCK).open('a')
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as err:
        lock.close()
        raise GalleryLockedError(
            f'{folder}: another process is writing to it'
        ) from err
    return lock

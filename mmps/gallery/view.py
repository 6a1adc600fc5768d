"""Consistent view of an exact gallery's live rows."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from .records import MARK, Filters, Frame, GalleryRows, stable_id
from .segments import Segment


@dataclass(frozen=True)
class Part:
    """A segment, and which of its frames and rows are not deleted.

    Args:
        segment: The segment.
        frames: (F,) bool.
        rows: (n,) bool.
        replaces: Whether the segment deletes anything from older ones.
    """

    segment: Segment
    frames: np.ndarray
    rows: np.ndarray
    replaces: bool = False

    @classmethod
    def whole(cls, segment: Segment, replaces: bool = False) -> 'Part':
        """A segment of which nothing is deleted."""
        frames = np.ones(segment.num_frames, bool)
        return cls(segment, frames, np.ones(len(segment.rows), bool), replaces)

    def without(self, newer: Segment) -> 'Part':
        """The part that is left when a newer segment is added."""
        segment = self.segment
        gone = np.concatenate([newer.frame_ids, newer.gone_frames])
        frames = segment.find_frames(gone)
        frames = frames[frames >= 0]
        gone = np.concatenate([newer.rows.ids, newer.gone_ids])
        rows = segment.find_rows(gone)
        rows = rows[rows >= 0]
        if not len(frames) and not len(rows):
            return self
        frames_alive = self.frames.copy()
        frames_alive[frames] = False
        rows_alive = self.rows & frames_alive[segment.rows.frames]
        rows_alive[rows] = False
        return replace(self, frames=frames_alive, rows=rows_alive)

    @property
    def pictures(self) -> np.ndarray:
        """(F,) bool, frames that are alive and no marks."""
        return self.frames & (self.segment.frame_index != MARK)

    def select(self, filters: Filters) -> np.ndarray:
        """(n,) bool, rows that are alive and pass."""
        if not filters:
            return self.rows
        segment = self.segment
        cameras = np.array(
            [
                (filters.cameras is None or name in filters.cameras)
                and name not in filters.exclude_cameras
                for name in segment.cameras
            ],
            dtype=bool,
        )
        frames = self.frames & cameras[segment.frame_cameras]
        if filters.after is not None:  # NaN compares as False
            frames &= segment.frame_times >= filters.after
        if filters.before is not None:
            frames &= segment.frame_times < filters.before
        if filters.frames is not None:
            only = np.zeros_like(frames)
            only[_places(segment, filters.frames)] = True
            frames &= only
        frames[_places(segment, filters.exclude_frames)] = False
        rows = self.rows & frames[segment.rows.frames]
        if filters.min_score is not None:
            # In the precision of the stored scores: 0.9 has to pass 0.9.
            limit = np.finfo(np.float32).max
            lowest = np.float32(np.clip(filters.min_score, -limit, limit))
            rows &= segment.rows.scores >= lowest
        return rows


def _places(segment: Segment, names: Sequence[str]) -> np.ndarray:
    """Indices of those of the named frames that a segment has."""
    ids = np.array([stable_id(name) for name in names], np.int64)
    found = segment.find_frames(ids)
    return found[found >= 0]


@dataclass(frozen=True)
class View:
    """All parts, oldest first; never changed, so that threads can share it.

    Args:
        parts: The parts.
    """

    parts: tuple[Part, ...] = ()

    @classmethod
    def of(cls, segments: Iterable[Segment], replacing: set[str]) -> 'View':
        """Apply segments one after another.

        Args:
            segments: Oldest first.
            replacing: Names of those that delete from older ones; the others
                need not be compared with every older one.
        """
        view = cls()
        for segment in segments:
            if segment.name in replacing:
                view = view.plus(segment)
            else:
                view = View((*view.parts, Part.whole(segment)))
        return view

    def plus(self, segment: Segment) -> 'View':
        """The view after a new segment."""
        parts = tuple(part.without(segment) for part in self.parts)
        changed = any(a is not b for a, b in zip(parts, self.parts))
        return View((*parts, Part.whole(segment, changed)))

    @property
    def segments(self) -> list[Segment]:
        """Segments, oldest first."""
        return [part.segment for part in self.parts]

    @cached_property
    def offsets(self) -> np.ndarray:
        """(P + 1,) number of the first row of each part."""
        sizes = [len(part.segment.rows) for part in self.parts]
        return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])

    def num_rows(self, filters: Filters | None = None) -> int:
        """Rows that are alive and pass the filters."""
        filters = filters or Filters()
        return sum(int(part.select(filters).sum()) for part in self.parts)

    @property
    def num_frames(self) -> int:
        """Frames that are alive, without marks."""
        return sum(int(part.pictures.sum()) for part in self.parts)

    def find_frames(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part and frame of each id, -1 where it is not alive."""
        return self._find(ids, Segment.find_frames, 'frames')

    def marks_of(self, ids: np.ndarray) -> list[int]:
        """Ids of the marks of the videos that some frames are from."""
        videos = {
            self.parts[i].segment.frame(place).video
            for i, place in zip(*self.find_frames(ids))
            if i >= 0
        } - {''}
        if not videos:
            return []
        marks = (
            part.segment.frame(place)
            for part in self.parts
            for place in np.flatnonzero(part.frames & ~part.pictures)
        )
        return [mark.id for mark in marks if mark.source in videos]

    def find_rows(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Part and row of each id, -1 where it is not alive."""
        return self._find(ids, Segment.find_rows, 'rows')

    def _find(
        self, ids: np.ndarray, find: object, alive: str
    ) -> tuple[np.ndarray, np.ndarray]:
        parts = np.full(len(ids), -1)
        places = np.full(len(ids), -1)
        for i, part in enumerate(self.parts):
            found = find(part.segment, ids)
            hit = found >= 0
            hit[hit] = getattr(part, alive)[found[hit]]
            parts[hit], places[hit] = i, found[hit]
        return parts, places

    def ids_of(self, numbers: np.ndarray) -> np.ndarray:
        """Ids of rows by their numbers; -1 stays."""
        ids = np.full(numbers.shape, -1, np.int64)
        for part, start, end in zip(
            self.parts, self.offsets[:-1], self.offsets[1:]
        ):
            inside = (numbers >= start) & (numbers < end)
            ids[inside] = part.segment.rows.ids[numbers[inside] - start]
        return ids

    def vectors_of(self, numbers: np.ndarray) -> np.ndarray:
        """(n, D) embeddings of rows by their numbers."""
        parts = np.searchsorted(self.offsets, numbers, side='right') - 1
        vectors: np.ndarray | None = None
        for i in np.unique(parts):
            stored = self.parts[i].segment.rows.embeddings
            if vectors is None:
                shape = len(numbers), stored.shape[1]
                vectors = np.empty(shape, stored.dtype)
            mine = parts == i
            vectors[mine] = stored[numbers[mine] - self.offsets[i]]
        return np.zeros((0, 0)) if vectors is None else vectors

    def take(
        self, parts: np.ndarray, places: np.ndarray, embeddings: bool
    ) -> tuple[GalleryRows, list[Frame]]:
        """Copy rows, in the order given, with the frames they index.

        Args:
            parts: (n,) part of each row.
            places: (n,) place in it.
            embeddings: Whether they are copied.
        """
        pieces, frames, slots = [], [], []
        for i in np.unique(parts):
            segment = self.parts[i].segment
            slots.append(np.flatnonzero(parts == i))
            piece = segment.rows.take(places[slots[-1]], embeddings)
            owners, index = np.unique(piece.frames, return_inverse=True)
            piece.frames = index + len(frames)
            frames += map(segment.frame, owners)
            pieces.append(piece)
        order = np.argsort(np.concatenate([[], *slots]), kind='stable')
        return GalleryRows.join(pieces).take(order), frames

    @cached_property
    def sorted_frames(self) -> list[tuple[int, int]]:
        """Part and place of every frame that is alive, sorted by name."""
        named = sorted(
            (part.segment.names[place], i, int(place))
            for i, part in enumerate(self.parts)
            for place in np.flatnonzero(part.pictures)
        )
        return [(i, place) for _, i, place in named]

    def rows_of_frames(
        self, frames: Sequence[tuple[int, int]]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Part and place of the rows of some frames, frame by frame.

        Args:
            frames: Part and place of each.
        """
        parts, places = [np.zeros(0, int)], [np.zeros(0, int)]
        for i, frame in frames:
            part = self.parts[i]
            order, splits = part.segment.rows_by_frame
            rows = order[splits[frame] : splits[frame + 1]]
            rows = rows[part.rows[rows]]
            places.append(rows)
            parts.append(np.full(len(rows), i))
        return np.concatenate(parts), np.concatenate(places)

    def pieces(self, num: int) -> Iterator[tuple[list[Frame], GalleryRows]]:
        """``num`` frames at a time, with their people."""
        for i, part in enumerate(self.parts):
            segment = part.segment
            alive = np.flatnonzero(part.frames)
            for start in range(0, len(alive), num):
                chosen = alive[start : start + num]
                parts, places = self.rows_of_frames(
                    [(i, frame) for frame in chosen]
                )
                rows, _ = self.take(parts, places, embeddings=True)
                owners = segment.rows.frames[places]
                rows.frames = np.searchsorted(chosen, owners)
                yield [segment.frame(frame) for frame in chosen], rows

    def merged(self, first: int, last: int) -> Segment:
        """One segment in the place of the parts ``first`` to ``last - 1``.

        It deletes from older parts what they deleted.
        """
        parts = self.parts[first:last]
        frames: list[Frame] = []
        rows, gone_ids, gone_frames = [], [], []
        for part in parts:
            segment = part.segment
            segment.check_vectors()  # damage must not be copied
            alive = np.flatnonzero(part.frames)
            number = np.full(segment.num_frames, -1)
            number[alive] = np.arange(len(alive)) + len(frames)
            frames += [segment.frame(i) for i in alive]
            kept = segment.rows.take(part.rows)
            kept.frames = number[kept.frames]
            if len(kept):
                rows.append(kept)
            gone_ids += [segment.gone_ids, segment.rows.ids[~part.rows]]
            gone_frames += [
                segment.gone_frames,
                segment.frame_ids[~part.frames],
            ]
        joined = GalleryRows.join(rows)
        if first == 0:  # there is nothing older
            return Segment.of(frames, joined)
        return Segment.of(
            frames,
            joined,
            np.setdiff1d(np.concatenate(gone_ids), joined.ids),
            np.setdiff1d(np.concatenate(gone_frames), [f.id for f in frames]),
        )

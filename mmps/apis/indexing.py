"""Filling a gallery: load, find people, store, and go on where it stopped."""

import functools
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple

import cv2
import numpy as np

from mmps.datasets.errors import BadImageError
from mmps.gallery import (
    BaseGallery,
    Frame,
    GalleryMismatchError,
    GalleryRows,
    stable_id,
)
from mmps.gallery.records import MARK

from .frame_sources import Picture, Video, read_picture, read_video
from .person_model import Detections, PersonModel
from .tracking import TrackCollector

# Frames per write; after a crash at most so many are done again.
_WRITE_EVERY = 64
_LOOK_UP = 1024

Progress = Callable[[int, int], None]
# A frame, and what gives its pixels or why there are none.
_Waiting = tuple[Frame, Callable[[], np.ndarray] | str]


@dataclass
class IndexReport:
    """What an indexing did.

    Args:
        frames: Frames that were looked at.
        people: Rows that were added.
        skipped: Frames that were there already; of a finished video about
            as many as it has.
        bad: Files that cannot be used, and why.
    """

    frames: int = 0
    people: int = 0
    skipped: int = 0
    bad: list[str] = field(default_factory=list)

    def plus(self, other: 'IndexReport') -> 'IndexReport':
        """Both together."""
        return IndexReport(
            self.frames + other.frames,
            self.people + other.people,
            self.skipped + other.skipped,
            self.bad + other.bad,
        )


class Found(NamedTuple):
    """One frame and its people, or why it cannot be used."""

    frame: Frame
    people: Detections | None
    error: str = ''


def count_frames(items: Sequence[Picture | Video]) -> int:
    """Frames that will be looked at, roughly where there are videos."""
    return sum(
        item.num_frames if isinstance(item, Video) else 1 for item in items
    )


def mark_of(video: Video, tracks: bool) -> Frame:
    """The frame that marks a video as completely indexed.

    Args:
        video: The video.
        tracks: Whether its rows are tracks.
    """
    name = f'{way_of(video, tracks)}#{video.num_bytes}'
    return Frame(name, video.name, MARK)


def way_of(video: Video, tracks: bool) -> str:
    """A video's name with the way in which it is indexed."""
    how = 'tracks' if tracks else 'frames'
    rate = 'all' if video.fps is None else f'{video.fps:g}'
    return f'{video.name}#{how}@{rate}'


def detections_as_rows(
    found: Sequence[Found],
) -> tuple[list[Frame], GalleryRows]:
    """Detections as rows of a gallery.

    A row's id follows from its frame's name and its place in it.
    """
    frames, rows = [], []
    for one in found:
        if one.people is None:
            continue
        num = len(one.people)
        name = one.frame.name
        rows.append(
            GalleryRows(
                ids=np.array(
                    [stable_id(f'{name}#{n}') for n in range(num)], np.int64
                ),
                frames=np.full(num, len(frames)),
                bboxes=one.people.bboxes,
                scores=one.people.scores,
                embeddings=one.people.embeddings,
            )
        )
        frames.append(one.frame)
    return frames, GalleryRows.join(rows)


class Chunk(NamedTuple):
    """A part of the work, to be stored at once.

    Args:
        frames: New frames.
        rows: Their people.
        report: What was done.
        num_done: Frames of the inputs that are settled with it.
    """

    frames: list[Frame]
    rows: GalleryRows
    report: IndexReport
    num_done: int


class Indexer:
    """Finds the people of pictures and videos.

    Args:
        model: The model.
        batch_size: Images that are looked at together. Defaults to 4.
        num_workers: Threads that load images. Defaults to 4.
        tracks: One row per track of a video, in the place of one per
            detection. Defaults to False.
    """

    def __init__(
        self,
        model: PersonModel,
        batch_size: int = 4,
        num_workers: int = 4,
        tracks: bool = False,
    ) -> None:
        self.model = model
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.tracks = tracks

    def fill(
        self,
        gallery: BaseGallery,
        items: Sequence[Picture | Video],
        progress: Progress | None = None,
        known: BaseGallery | None = None,
    ) -> IndexReport:
        """Add the people of all frames that are not there yet.

        What is done is stored every few frames; a second call goes on where
        the first was interrupted. A video with tracks is stored as a whole.

        Args:
            gallery: Takes the rows.
            items: From ``expand_inputs``.
            progress: Called with frames done and frames in all.
            known: Frames in this gallery are skipped too. Defaults to None.

        Returns:
            Counts, and the files that could not be used.

        Raises:
            GalleryError: The gallery was filled with another threshold of
                scores, or does not take the rows.
        """
        self.check_fits(gallery)
        if known is not None:
            self.check_fits(known)

        def is_there(names: list[str]) -> np.ndarray:
            there = gallery.has_frames(names)
            return there if known is None else there | known.has_frames(names)

        total = count_frames(items)
        return store(gallery, self.chunks(items, is_there), total, progress)

    def check_fits(self, gallery: BaseGallery) -> None:
        """Refuse a gallery of people with other scores.

        Raises:
            GalleryMismatchError: It was filled with another threshold.
        """
        lowest = gallery.header.det_thr
        if lowest not in (None, self.model.det_thr):
            raise GalleryMismatchError(
                f'{gallery.uri}: holds people with scores from {lowest:g}, '
                f'not from {self.model.det_thr:g}'
            )

    def chunks(
        self,
        items: Sequence[Picture | Video],
        is_there: Callable[[list[str]], np.ndarray],
    ) -> Iterator[Chunk]:
        """Find the people of all frames that are not there yet.

        Args:
            items: From ``expand_inputs``.
            is_there: Which frames, by their names, are there.

        Yields:
            What to store, in the order of the items.
        """
        for part in _in_parts(items):
            if not isinstance(part, Video):
                yield from self._frames_of(part, is_there)
            elif is_there([mark_of(part, self.tracks).name])[0]:
                num = part.num_frames
                yield _chunk([], skipped=num, num_done=num)
            elif self.tracks:
                yield from self._tracks_of(part)
            else:
                whole = True
                for chunk in self._frames_of(part, is_there):
                    whole = whole and not chunk.report.bad
                    yield chunk
                if whole:
                    yield _chunk([], frames=[mark_of(part, self.tracks)])

    def _frames_of(
        self,
        part: list[Picture] | Video,
        is_there: Callable[[list[str]], np.ndarray],
    ) -> Iterator[Chunk]:
        skipped = [0]
        waiting: list[Found] = []
        for found in self._find(_todo(part, is_there, skipped)):
            waiting.append(found)
            if len(waiting) >= _WRITE_EVERY:
                yield _chunk(waiting, num_done=len(waiting))
                waiting = []
        num = len(waiting) + skipped[0]
        yield _chunk(waiting, skipped=skipped[0], num_done=num)

    def _tracks_of(self, video: Video) -> Iterator[Chunk]:
        collector = TrackCollector(
            way_of(video, tracks=True), self.model.det_thr
        )
        looked = 0
        for found in self._find(_todo(video, _nothing_there, [0])):
            if found.people is None:
                yield _chunk([found], num_done=1)
                return
            collector.add(found.frame, found.people)
            looked += 1
            yield _chunk([], num_done=1)
        frames, rows = collector.rows()
        report = IndexReport(frames=looked, people=len(rows))
        yield Chunk([*frames, mark_of(video, self.tracks)], rows, report, 0)

    def scenes(self, items: Sequence[Picture]) -> Iterator[np.ndarray | str]:
        """Embed pictures as a whole.

        Args:
            items: From ``expand_inputs``.

        Yields:
            For each in order its (S,) embedding, or why it has none.
        """
        todo = _todo(items, _nothing_there, [0])
        for frame, scene in self._look(todo, self.model.embed_scenes):
            if not isinstance(scene, str) and not np.isfinite(scene).all():
                scene = f'{frame.name}: the picture has no embedding'
            yield scene

    def _find(self, todo: Iterator[_Waiting]) -> Iterator[Found]:
        for frame, answer in self._look(todo, self.model.predict):
            if isinstance(answer, str):
                yield Found(frame, None, answer)
                continue
            people, _ = answer
            vectors = people.embeddings
            if np.isfinite(vectors).all() and vectors.any(axis=1).all():
                yield Found(frame, people)
            else:
                error = f'{frame.name}: a person has no embedding'
                yield Found(frame, None, error)

    def _look(
        self,
        todo: Iterator[_Waiting],
        answer: Callable[[list[dict]], Iterable[Any]],
    ) -> Iterator[tuple[Frame, Any]]:
        """Load ahead in threads, answer in batches, keep the order.

        Args:
            todo: Frames.
            answer: A method of the model.

        Yields:
            Frame with its answer, or with why it cannot be used.
        """
        loaded = _ahead(
            todo, self._load, self.num_workers, 4 * self.batch_size
        )
        while batch := list(islice(loaded, self.batch_size)):
            ready = [one for _, one in batch if not isinstance(one, str)]
            answers = iter(answer(ready))
            for frame, one in batch:
                yield frame, one if isinstance(one, str) else next(answers)

    def _load(
        self, frame: Frame, source: Callable[[], np.ndarray] | str
    ) -> tuple[Frame, dict | str]:
        if isinstance(source, str):
            return frame, source
        try:
            image = source()
        except BadImageError as err:
            return frame, str(err)
        height, width = image.shape[:2]
        frame = frame._replace(width=width, height=height)
        try:
            return frame, self.model.prepare(image)
        except cv2.error as err:  # of a sliver nothing is left at its scale
            size = f'{width} x {height} pixels'
            return frame, f'{frame.name}: {size} cannot be scaled ({err.err})'


def store(
    gallery: BaseGallery,
    chunks: Iterable[Chunk],
    total: int,
    progress: Progress | None = None,
    skipped: int = 0,
) -> IndexReport:
    """Add chunks to a gallery as they come.

    Args:
        gallery: Takes the rows.
        chunks: From :meth:`Indexer.chunks`, of any process.
        total: Frames of all inputs, roughly.
        progress: Called with frames done and frames in all.
        skipped: Frames that were left out before. Defaults to 0.

    Returns:
        What was done.
    """
    report, done = IndexReport(skipped=skipped), skipped
    for chunk in chunks:
        if chunk.frames:
            gallery.add(chunk.frames, chunk.rows)
        report = report.plus(chunk.report)
        done += chunk.num_done
        if progress is not None:
            progress(min(done, total), total)
    if progress is not None:  # lengths of videos are estimates
        progress(total, total)
    return report


def _ahead(
    todo: Iterator[tuple[Frame, Any]],
    load: Callable[[Frame, Any], tuple[Frame, Any]],
    num_workers: int,
    size: int,
) -> Iterator[tuple[Frame, Any]]:
    """Apply ``load`` in threads, ahead of the consumer, in order.

    Args:
        todo: Read in a thread of its own, since it may decode a video.
        load: Called in the workers.
        num_workers: Threads.
        size: How many results may wait.

    Raises:
        Exception: What ``todo`` or ``load`` raise.
    """
    results: queue.Queue = queue.Queue(size)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                results.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def produce(pool: ThreadPoolExecutor) -> None:
        try:
            for frame, source in todo:
                if stop.is_set():
                    return
                put(pool.submit(load, frame, source))
            put(None)
        except BaseException as err:  # raised by the consumer
            put(err)

    with ThreadPoolExecutor(num_workers) as pool:
        producer = threading.Thread(target=produce, args=(pool,), daemon=True)
        producer.start()
        try:
            while (item := results.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item.result()
        finally:
            stop.set()
            producer.join()


def _chunk(
    found: list[Found],
    skipped: int = 0,
    num_done: int = 0,
    frames: Sequence[Frame] = (),
) -> Chunk:
    good, rows = detections_as_rows(found)
    bad = [one.error for one in found if one.people is None]
    report = IndexReport(len(good), len(rows), skipped, bad)
    return Chunk([*good, *frames], rows, report, num_done)


def _nothing_there(names: list[str]) -> np.ndarray:
    return np.zeros(len(names), bool)


def _in_parts(
    items: Sequence[Picture | Video],
) -> Iterator[list[Picture] | Video]:
    """Runs of pictures, and single videos."""
    pictures: list[Picture] = []
    for item in items:
        if isinstance(item, Video) or len(pictures) == _LOOK_UP:
            if pictures:
                yield pictures
            pictures = []
        if isinstance(item, Video):
            yield item
        else:
            pictures.append(item)
    if pictures:
        yield pictures


def _todo(
    part: Sequence[Picture] | Video,
    is_there: Callable[[list[str]], np.ndarray],
    skipped: list[int],
) -> Iterator[_Waiting]:
    """Frames that are new."""
    if isinstance(part, Video):

        def is_new(frame: Frame) -> bool:
            return not is_there([frame.name])[0]

        try:
            for frame, image in read_video(part, is_new):
                if image is None:
                    skipped[0] += 1
                else:
                    yield frame, lambda image=image: image
        except BadImageError as err:
            yield Frame(part.name), str(err)
        return
    there = is_there([item.frame.name for item in part])
    skipped[0] += int(there.sum())
    for item, known in zip(part, there):
        if not known:
            read = functools.partial(read_picture, item.path)
            yield item.frame, item.error or read

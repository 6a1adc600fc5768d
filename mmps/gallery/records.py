"""Records of a gallery: frames, and the people found in them."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mmps.structures.array_checks import check_finite, check_range, numbers

from .errors import GalleryError, GalleryKeyError

MAX_NAME_BYTES = 4096
NO_TRACK = -1
MARK = -2


def stable_id(name: str) -> int:
    """Number of a frame or person that follows from its name alone.

    The same input gets the same id on every machine, in every order and
    with every engine.

    >>> from mmps.gallery import stable_id
    >>> stable_id('cam1/0001.jpg') == stable_id('cam1/0001.jpg') < 2**63
    True

    Args:
        name: Of a frame, or ``FRAME#N`` of its N-th person.

    Returns:
        63 bits of BLAKE2b, so that it fits a signed 64-bit integer.
    """
    # A name that is not valid Unicode may be asked for, though never added.
    data = name.encode('utf-8', 'surrogatepass')
    digest = hashlib.blake2b(data, digest_size=8).digest()
    return int.from_bytes(digest, 'big') >> 1


class Frame(NamedTuple):
    """One frame of a gallery.

    Args:
        name: Unique in the gallery; by it a frame is known to be there.
        source: File the pixels come from, relative to the gallery's root
            if it has one; '' where the pixels are not kept.
        index: Number of the frame in a video, -1 for a picture. -2 marks
            that a whole input is indexed; that is no picture and is neither
            listed nor counted.
        camera: '' where it is not known.
        time: Seconds; of a video from its start or since 1970. NaN where it
            is not known.
        width: In pixels, 0 where it is not known.
        height: In pixels, 0 where it is not known.
    """

    name: str
    source: str = ''
    index: int = -1
    camera: str = ''
    time: float = math.nan
    width: int = 0
    height: int = 0

    @property
    def is_mark(self) -> bool:
        """Whether it is no picture but marks an input as indexed."""
        return self.index == MARK

    @property
    def video(self) -> str:
        """Source of the video that it is from, '' for a picture."""
        return self.source.rpartition('#t=')[0] if self.index >= 0 else ''

    @property
    def id(self) -> int:
        """Stable id of the frame."""
        return stable_id(self.name)


@dataclass
class GalleryRows:
    """People of some frames, one row each.

    Args:
        ids: (n,) stable ids, unique.
        frames: (n,) index of each row's frame in the list it comes with.
        bboxes: (n, 4) xyxy in pixels of the frame.
        scores: (n,) detection scores.
        embeddings: (n, D); (n, 0) where they were not asked for.
        tracks: (n,) number of the track in its video, -1 for none. Defaults
            to none.

    Raises:
        ValueError: Lengths, kinds or values are wrong; names the field.
    """

    ids: np.ndarray
    frames: np.ndarray
    bboxes: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray
    tracks: np.ndarray = field(default=None)

    def __post_init__(self) -> None:
        self.ids = numbers('ids', self.ids, (None,), np.int64)
        num = len(self.ids)
        self.frames = numbers('frames', self.frames, (num,), np.int64)
        self.bboxes = numbers(
            'bboxes', self.bboxes, (num, 4), np.float32, floating=True
        )
        self.scores = numbers(
            'scores', self.scores, (num,), np.float32, floating=True
        )
        self.embeddings = numbers(
            'embeddings', self.embeddings, (num, None), floating=True
        )
        if self.tracks is None:
            self.tracks = np.full(num, NO_TRACK)
        self.tracks = numbers('tracks', self.tracks, (num,), np.int64)
        check_finite('bboxes', self.bboxes)
        check_finite('scores', self.scores)

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def empty(cls, dim: int = 0) -> 'GalleryRows':
        """No row."""
        return cls(
            ids=np.zeros(0, np.int64),
            frames=np.zeros(0, np.int64),
            bboxes=np.zeros((0, 4)),
            scores=np.zeros(0),
            embeddings=np.zeros((0, dim), np.float32),
        )

    @classmethod
    def join(cls, parts: Sequence['GalleryRows']) -> 'GalleryRows':
        """One after another; frames must refer to one list already."""
        if not parts:
            return cls.empty()
        return cls(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in cls.__dataclass_fields__
            }
        )

    def take(
        self, index: np.ndarray, embeddings: bool = True
    ) -> 'GalleryRows':
        """Some rows, by index or mask, with their embeddings or without."""
        columns = {n: getattr(self, n) for n in self.__dataclass_fields__}
        if not embeddings:
            columns['embeddings'] = self.embeddings[:, :0]
        return GalleryRows(**{n: v[index] for n, v in columns.items()})


@dataclass
class Matches:
    """The best rows for each query, best first.

    Args:
        ids: (q, k) stable ids, -1 where there are fewer than k.
        similarities: (q, k), -inf there.
    """

    ids: np.ndarray
    similarities: np.ndarray

    @classmethod
    def none(cls, num: int, k: int) -> 'Matches':
        """No match for any query."""
        return cls(
            np.full((num, k), -1, np.int64),
            np.full((num, k), -np.inf, np.float32),
        )


@dataclass(frozen=True)
class Filters:
    """Which rows a search looks at; all of them by default.

    Args:
        cameras: Only these cameras.
        exclude_cameras: Not these.
        after: Only frames at or after this time in seconds. A frame without
            a time passes neither this nor ``before``.
        before: Only frames before this time.
        min_score: Lowest detection score.
        exclude_frames: Names of frames to leave out, such as the query's.
        frames: Names; only these frames.

    Raises:
        GalleryError: A number is not finite, a list is a string, or
            ``after`` is not before ``before``.
    """

    cameras: Sequence[str] | None = None
    exclude_cameras: Sequence[str] = ()
    after: float | None = None
    before: float | None = None
    min_score: float | None = None
    exclude_frames: Sequence[str] = ()
    frames: Sequence[str] | None = None

    def __post_init__(self) -> None:
        for name in ('cameras', 'exclude_cameras', 'frames', 'exclude_frames'):
            value = getattr(self, name)
            if isinstance(value, str) or not all(
                isinstance(item, str) for item in value or ()
            ):
                raise GalleryError(f'{name}: expected a list of strings')
        for name in ('after', 'before', 'min_score'):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise GalleryError(f'{name}: expected a number, got {value}')
        if None not in (self.after, self.before) and not (
            self.after < self.before
        ):
            raise GalleryError(
                f'after {self.after}: expected less than before, {self.before}'
            )

    def __bool__(self) -> bool:
        """Whether anything is left out."""
        return self != Filters()


def as_ids(ids: Sequence[int], uri: str) -> np.ndarray:
    """(n,) int64; GalleryKeyError for one that no row can have."""
    try:
        return np.asarray(ids, np.int64).reshape(-1)
    except OverflowError as err:
        raise GalleryKeyError(f'{uri}: no row {max(ids, key=abs)}') from err


def check_threshold(threshold: float | None) -> None:
    """Raise GalleryError for a threshold that is no number."""
    if threshold is not None and not math.isfinite(threshold):
        raise GalleryError(f'threshold: expected a number, got {threshold}')


def check_frames(frames: Sequence[Frame]) -> None:
    """Raise GalleryError for a frame that no engine can hold."""
    seen = set()
    for frame in frames:
        texts = (frame.name, frame.source, frame.camera)
        for text in texts:
            try:
                size = len(text.encode())
            except UnicodeEncodeError as err:
                raise GalleryError(
                    f'frame {text[:60]!r}: expected valid Unicode'
                ) from err
            if '\0' in text or size > MAX_NAME_BYTES:
                raise GalleryError(
                    f'frame {text[:60]!r}...: expected at most '
                    f'{MAX_NAME_BYTES} bytes and no NUL'
                )
        if not frame.name:
            raise GalleryError('a frame has no name')
        if frame.name in seen:
            raise GalleryError(f'frame {frame.name!r} occurs twice')
        if math.isinf(frame.time):
            raise GalleryError(f'frame {frame.name!r}: time is {frame.time}')
        seen.add(frame.name)


def check_rows(
    rows: GalleryRows, num_frames: int, dim: int, normalised: bool
) -> None:
    """Raise GalleryError for rows that a search could not find again.

    Args:
        rows: To be added.
        num_frames: Frames they come with.
        dim: D of the gallery.
        normalised: Whether the gallery scales them to unit length.
    """
    if rows.embeddings.shape[1] != dim and len(rows):
        raise GalleryError(
            f'embeddings: {rows.embeddings.shape[1]} dimensions, but the '
            f'gallery has {dim}'
        )
    try:
        check_range('frames', rows.frames, num_frames)
        check_finite('embeddings', rows.embeddings)
    except ValueError as err:
        raise GalleryError(str(err)) from err
    if normalised and len(rows) and not rows.embeddings.any(axis=1).all():
        raise GalleryError('embeddings: a vector is zero')
    if len(np.unique(rows.ids)) != len(rows):
        raise GalleryError('ids: an id occurs twice')
    if len(rows) and rows.ids.min() < 0:
        raise GalleryError('ids: expected 0 or more')

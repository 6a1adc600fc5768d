"""Immutable pieces of an exact gallery on disk.

A segment is ``NAME.npz`` (rows, frames, and the ids that it deletes from older
segments) and, if it has rows, ``NAME.npy`` (their embeddings, which are
mapped into memory).
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mmps.structures.array_checks import check_range, numbers
from mmps.structures.npz import read_npz
from mmps.utils.files import write_whole

from .errors import GalleryError
from .records import Frame, GalleryRows

_ROWS = ('ids', 'frames', 'bboxes', 'scores', 'tracks')
_FRAMES = ('frame_ids', 'frame_times', 'frame_index', 'frame_sizes')
_GONE = ('gone_ids', 'gone_frames')
_KEYS = (*_ROWS, *_FRAMES, 'frame_cameras', *_GONE, 'texts', 'checksum')
# Files of embeddings up to this size are compared with their checksum when
# they are opened. Larger ones, which that would read, are compared on merging.
_CHECKED_BYTES = 64 * 2**20


@dataclass
class Segment:
    """Frames, their people, and ids that are deleted from older segments.

    Args:
        rows: n people; ``rows.frames`` indexes the F frames here, and
            ``rows.embeddings`` may be mapped from a file.
        frame_ids: (F,) stable ids of the frames.
        frame_times: (F,) seconds, NaN where unknown.
        frame_index: (F,) number in the video, -1 for pictures.
        frame_sizes: (F, 2) width and height.
        frame_cameras: (F,) index into ``cameras``.
        texts: JSON of names, sources and cameras, as UTF-8 bytes.
        gone_ids: Rows of older segments that are deleted.
        gone_frames: Ids of frames of older segments that are deleted.
        name: Of its files, '' while it has none.
        checksum: CRC-32 of the embeddings in a file, 0 while there is none.
    """

    rows: GalleryRows
    frame_ids: np.ndarray
    frame_times: np.ndarray
    frame_index: np.ndarray
    frame_sizes: np.ndarray
    frame_cameras: np.ndarray
    texts: bytes
    gone_ids: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    gone_frames: np.ndarray = field(default_factory=lambda: np.zeros(0, int))
    name: str = ''
    checksum: int = 0

    @classmethod
    def of(
        cls,
        frames: Sequence[Frame],
        rows: GalleryRows,
        gone_ids: Sequence[int] | np.ndarray = (),
        gone_frames: Sequence[int] | np.ndarray = (),
    ) -> 'Segment':
        """Make a segment from records."""
        cameras = sorted({frame.camera for frame in frames})
        place = {camera: i for i, camera in enumerate(cameras)}
        texts = {
            'names': [frame.name for frame in frames],
            'sources': [
                None if frame.source == frame.name else frame.source
                for frame in frames
            ],
            'cameras': cameras,
        }
        sizes = [(frame.width, frame.height) for frame in frames]
        return cls(
            rows=rows,
            frame_ids=np.array([f.id for f in frames], np.int64),
            frame_times=np.array([f.time for f in frames], np.float64),
            frame_index=np.array([f.index for f in frames], np.int64),
            frame_sizes=np.array(sizes, np.int32).reshape(-1, 2),
            frame_cameras=np.array(
                [place[f.camera] for f in frames], np.int32
            ),
            texts=json.dumps(texts, ensure_ascii=False).encode(),
            gone_ids=np.asarray(gone_ids, np.int64),
            gone_frames=np.asarray(gone_frames, np.int64),
        )

    @property
    def num_frames(self) -> int:
        """F."""
        return len(self.frame_ids)

    @cached_property
    def _strings(self) -> dict[str, list]:
        """Names, sources and cameras; parsed when they are first needed."""
        try:
            texts = json.loads(self.texts)
            _check_texts(texts, self.frame_cameras)
        except (ValueError, TypeError, KeyError, RecursionError) as err:
            raise GalleryError(f'{self.name}.npz: texts: {err}') from err
        return texts

    @property
    def cameras(self) -> list[str]:
        """Names of the cameras."""
        return self._strings['cameras']

    @property
    def names(self) -> list[str]:
        """(F) names of the frames."""
        return self._strings['names']

    def frame(self, index: int) -> Frame:
        """One of the frames."""
        name, source = (
            self.names[index],
            self._strings['sources'][index],
        )
        width, height = self.frame_sizes[index]
        return Frame(
            name=name,
            source=name if source is None else source,
            index=int(self.frame_index[index]),
            camera=self.cameras[self.frame_cameras[index]],
            time=float(self.frame_times[index]),
            width=int(width),
            height=int(height),
        )

    @cached_property
    def _sorted_ids(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.rows.ids, kind='stable')
        ids = self.rows.ids[order]
        if (ids[1:] == ids[:-1]).any():
            raise GalleryError(f'{self.name}.npz: ids: an id occurs twice')
        return ids, order

    @cached_property
    def _sorted_frames(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.frame_ids, kind='stable')
        return self.frame_ids[order], order

    def find_rows(self, ids: np.ndarray) -> np.ndarray:
        """Row of each id, -1 where it is not here."""
        return _find(self._sorted_ids, ids)

    def find_frames(self, ids: np.ndarray) -> np.ndarray:
        """Frame of each id, -1 where it is not here."""
        return _find(self._sorted_frames, ids)

    @cached_property
    def rows_by_frame(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows sorted by frame, and offsets (F + 1,) of the frames."""
        order = np.argsort(self.rows.frames, kind='stable')
        splits = np.searchsorted(
            self.rows.frames[order], np.arange(self.num_frames + 1)
        )
        return order, splits

    def save(self, folder: Path, name: str) -> 'Segment':
        """Write the files and return the segment that maps them."""
        vectors = np.ascontiguousarray(self.rows.embeddings)
        if len(vectors):
            write_whole(
                folder / f'{name}.npy', lambda file: np.save(file, vectors)
            )
        arrays = {key: getattr(self.rows, key) for key in _ROWS}
        for key in (*_FRAMES, 'frame_cameras', *_GONE):
            arrays[key] = getattr(self, key)
        arrays['texts'] = np.frombuffer(self.texts, np.uint8)
        arrays['checksum'] = np.array(zlib.crc32(vectors))
        write_whole(
            folder / f'{name}.npz', lambda file: np.savez(file, **arrays)
        )
        return Segment.load(folder, name, compare=False)

    @classmethod
    def load(cls, folder: Path, name: str, compare: bool = True) -> 'Segment':
        """Open a segment.

        Args:
            folder: Of the gallery.
            name: Of the segment.
            compare: Whether small files of embeddings are compared with
                their checksum. Defaults to True.

        Raises:
            FileNotFoundError: A file of it is missing.
            GalleryError: A file is broken; names it.
        """
        path = folder / f'{name}.npz'
        try:
            with path.open('rb') as file:
                arrays = read_npz(file, _KEYS)
            vectors = np.zeros((0, 0), np.float32)
            if arrays['ids'].size:
                path = folder / f'{name}.npy'
                vectors = np.load(path, mmap_mode='r', allow_pickle=False)
            texts = arrays.pop('texts').tobytes()
            checksum = int(arrays.pop('checksum'))
            rows = {key: arrays.pop(key) for key in _ROWS}
            segment = cls(
                rows=GalleryRows(embeddings=vectors, **rows),
                texts=texts,
                name=name,
                checksum=checksum,
                **arrays,
            )
            segment._check()
            if compare and vectors.nbytes <= _CHECKED_BYTES:
                segment.check_vectors()
        except FileNotFoundError:
            raise
        # Damaged headers make numpy raise nearly anything.
        except Exception as err:
            reason = str(err) or type(err).__name__
            raise GalleryError(f'{path}: broken ({reason})') from err
        return segment

    def check_vectors(self) -> None:
        """Compare the embeddings with their checksum, reading all of them.

        Raises:
            GalleryError: They are not what was written.
        """
        vectors = self.rows.embeddings
        if len(vectors) and zlib.crc32(vectors) != self.checksum:
            raise GalleryError(
                f'{self.name}.npy: the embeddings are not those that were '
                'written (another checksum)'
            )

    def _check(self) -> None:
        """Raise ValueError unless the arrays fit each other."""
        num = self.num_frames
        for key, dtype, shape in (
            ('frame_ids', np.int64, (num,)),
            ('frame_times', np.float64, (num,)),
            ('frame_index', np.int64, (num,)),
            ('frame_sizes', np.int32, (num, 2)),
            ('frame_cameras', np.int32, (num,)),
            ('gone_ids', np.int64, (None,)),
            ('gone_frames', np.int64, (None,)),
        ):
            value = getattr(self, key)
            if value.dtype != dtype:
                raise ValueError(f'{key}: {value.dtype}, expected {dtype}')
            numbers(key, value, shape, floating=True)
        frames = self.rows.frames
        if len(frames) and not 0 <= frames.min() <= frames.max() < num:
            raise ValueError('frames: a row has no frame')
        if len(frames) and self.rows.ids.min() < 0:
            raise ValueError('ids: an id is negative')
        if np.isinf(self.frame_times).any():
            raise ValueError('frame_times: a time is not finite')

    @property
    def num_bytes(self) -> int:
        """Size on disk, roughly."""
        vectors = self.rows.embeddings
        return vectors.nbytes + 44 * len(self.rows) + len(self.texts) + 512


def _check_texts(texts: dict[str, list], cameras: np.ndarray) -> None:
    """Raise ValueError unless there is a name, source and camera of each."""
    for key, kinds in (('names', str), ('sources', (str, type(None)))):
        found = texts[key]
        if not isinstance(found, list) or len(found) != len(cameras):
            raise ValueError(f'expected {len(cameras)} {key}')
        if not all(isinstance(text, kinds) for text in found):
            raise ValueError(f'{key}: one is no text')
    known = texts['cameras']
    if not all(isinstance(text, str) for text in known):
        raise ValueError('cameras: one is no text')
    check_range('frame_cameras', cameras, len(known))


def _find(
    table: tuple[np.ndarray, np.ndarray], values: np.ndarray
) -> np.ndarray:
    keys, order = table
    if not len(keys):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, order[place], -1)

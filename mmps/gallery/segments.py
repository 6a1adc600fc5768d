"""Immutable pieces of an exact gallery on disk.

A segment is ``NAME.npz`` (rows, frames and what it takes away from older
segments) and, if it has rows, ``NAME.npy`` (their embeddings, which are
mapped into memory and never read as a whole).
"""

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from mmps.utils.files import write_whole

from .errors import GalleryError
from .records import Frame, GalleryRows

_ROWS = ('ids', 'frames', 'bboxes', 'scores', 'tracks')
_FRAMES = ('frame_ids', 'frame_times', 'frame_index', 'frame_sizes')
_GONE = ('gone_ids', 'gone_frames')


@dataclass
class Segment:
    """Frames, their people, and ids that older segments lose.

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
        return json.loads(self.texts)

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
        return self.rows.ids[order], order

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
        vectors = self.rows.embeddings
        if len(vectors):
            write_whole(
                folder / f'{name}.npy', lambda file: np.save(file, vectors)
            )
        arrays = {key: getattr(self.rows, key) for key in _ROWS}
        for key in (*_FRAMES, 'frame_cameras', *_GONE):
            arrays[key] = getattr(self, key)
        arrays['texts'] = np.frombuffer(self.texts, np.uint8)
        write_whole(
            folder / f'{name}.npz', lambda file: np.savez(file, **arrays)
        )
        return Segment.load(folder, name)

    @classmethod
    def load(cls, folder: Path, name: str) -> 'Segment':
        """Open a segment.

        Raises:
            FileNotFoundError: A file of it is missing.
            GalleryError: A file is broken; names it.
        """
        path = folder / f'{name}.npz'
        try:
            data = np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
            arrays = {key: data[key] for key in data.files}
            vectors = np.zeros((0, 0), np.float32)
            if len(arrays['ids']):
                path = folder / f'{name}.npy'
                vectors = np.load(path, mmap_mode='r', allow_pickle=False)
            texts = arrays.pop('texts').tobytes()
            rows = {key: arrays.pop(key) for key in _ROWS}
            segment = cls(
                rows=GalleryRows(embeddings=vectors, **rows),
                texts=texts,
                name=name,
                **arrays,
            )
            segment._check()
        except (
            ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile
        ) as err:  # fmt: skip
            raise GalleryError(f'{path}: broken ({err})') from err
        return segment

    def _check(self) -> None:
        num = self.num_frames
        for key in (*_FRAMES, 'frame_cameras'):
            if len(getattr(self, key)) != num:
                raise ValueError(f'{key}: expected {num} values')
        frames = self.rows.frames
        if len(frames) and not 0 <= frames.min() <= frames.max() < num:
            raise ValueError('frames: a row has no frame')

    @property
    def num_bytes(self) -> int:
        """Size on disk, roughly."""
        vectors = self.rows.embeddings
        return vectors.nbytes + 44 * len(self.rows) + len(self.texts) + 512


def _find(
    table: tuple[np.ndarray, np.ndarray], values: np.ndarray
) -> np.ndarray:
    keys, order = table
    if not len(keys):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(keys, values), len(keys) - 1)
    return np.where(keys[place] == values, order[place], -1)

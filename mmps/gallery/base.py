"""The interface of all gallery engines."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .errors import GalleryError
from .header import GalleryHeader
from .records import (
    Filters,
    Frame,
    GalleryRows,
    Matches,
    check_frames,
    check_rows,
)


class BaseGallery(ABC):
    """People found in frames, to be searched by embedding.

    Engines implement the abstract methods; checks and scaling are here, so
    that every engine refuses the same input, and ``_add``, ``_search`` and
    ``_delete`` get checked input. Galleries may be used from several threads.
    Engines are opened with their ``create`` and ``open``.

    Args:
        uri: Where it lies, for messages.
        header: What it was built with.
        read_only: Whether :meth:`add` and :meth:`delete` are refused.

    Attributes:
        engine (str): Of the class: its name, as in ``ENGINES``.
        concurrent_writers (bool): Of the class: whether several processes
            may write at the same time.
    """

    engine: str
    concurrent_writers = False

    def __init__(
        self, uri: str, header: GalleryHeader, read_only: bool = False
    ) -> None:
        self.uri = uri
        self.header = header
        self.read_only = read_only

    @property
    def root(self) -> str:
        """Folder that the sources of frames are relative to, '' for none."""
        root = self.header.root
        if not root or os.path.isabs(root):
            return root
        return os.path.normpath(os.path.join(os.path.abspath(self.uri), root))

    def add(self, frames: Sequence[Frame], rows: GalleryRows) -> None:
        """Add frames and the people in them.

        When it returns, all of it is stored and survives a crash. A frame
        whose name is there already is replaced, with its people; so is a row
        whose id is there. Frames without people are remembered too.

        Args:
            frames: The frames.
            rows: Their people; ``rows.frames`` indexes ``frames``.

        Raises:
            GalleryError: Vectors are not finite, zero or of a wrong size;
                ids or names occur twice; or the gallery is read-only.
                Nothing was added.
        """
        self._check_writable()
        check_frames(frames)
        header = self.header
        check_rows(rows, len(frames), header.dim, header.normalised)
        vectors = _as_stored(rows.embeddings, header)
        rows = GalleryRows(
            rows.ids, rows.frames, rows.bboxes, rows.scores, vectors,
            rows.tracks,
        )  # fmt: skip
        self._add(frames, rows)

    def search(
        self, queries: np.ndarray, k: int = 20, filters: Filters | None = None
    ) -> Matches:
        """Find the most similar people.

        Args:
            queries: (q, D) embeddings.
            k: Matches per query. Defaults to 20.
            filters: Which rows to look at. Defaults to None, all.

        Returns:
            The k best of each query, best first; equal ones in the order
            in which they were added.

        Raises:
            GalleryError: A query is not finite, zero or of a wrong size, or
                k is not positive.
        """
        header = self.header
        queries = np.asarray(queries)
        if queries.ndim != 2 or queries.shape[1] != header.dim:
            raise GalleryError(
                f'queries: expected shape (*, {header.dim}), got '
                f'{queries.shape}'
            )
        if not np.isfinite(queries).all():
            raise GalleryError('queries: a value is not finite')
        if header.normalised and not queries.any(axis=1).all():
            raise GalleryError('queries: a vector is zero')
        if k < 1:
            raise GalleryError(f'k: expected 1 or more, got {k}')
        if not len(queries):
            return Matches.none(0, k)
        if header.normalised:
            queries = _unit(queries)
        queries = np.ascontiguousarray(queries, np.float32)
        return self._search(queries, k, filters or Filters())

    def delete(
        self, ids: Sequence[int] = (), frames: Sequence[str] = ()
    ) -> int:
        """Remove people, or frames with their people.

        Args:
            ids: Of rows; unknown ones are ignored.
            frames: Names; the frames will count as not indexed, and so will
                the videos that they are from.

        Returns:
            Number of rows removed.

        Raises:
            GalleryError: The gallery is read-only.
        """
        self._check_writable()
        if isinstance(frames, str):
            raise GalleryError(f'frames: expected a list, got {frames!r}')
        return self._delete(np.asarray(ids, np.int64).reshape(-1), frames)

    def __enter__(self) -> 'BaseGallery':
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return self.count()

    @classmethod
    @abstractmethod
    def create(cls, uri: str, header: GalleryHeader) -> 'BaseGallery':
        """Create an empty gallery; see :func:`mmps.gallery.create_gallery`.

        Args:
            uri: Where it shall lie.
            header: What its embeddings are; it is stored with them.

        Returns:
            The gallery, open for writing.

        Raises:
            GalleryExistsError: There is something already.
            GalleryError: The engine cannot hold such embeddings.
        """

    @classmethod
    @abstractmethod
    def open(cls, uri: str, read_only: bool = False) -> 'BaseGallery':
        """Open a gallery; see :func:`mmps.gallery.open_gallery`.

        Args:
            uri: Where it lies.
            read_only: Whether it is only searched. Defaults to False.

        Raises:
            GalleryNotFoundError: There is none.
            GalleryLockedError: Another process writes to it, and the engine
                has one writer.
            GalleryError: It is broken, or of another version.
        """

    @classmethod
    @abstractmethod
    def exists(cls, uri: str) -> bool:
        """Whether there is a gallery of this engine, of whatever version.

        Args:
            uri: Where it would lie.
        """

    @abstractmethod
    def get(
        self, ids: Sequence[int], embeddings: bool = False
    ) -> tuple[GalleryRows, list[Frame]]:
        """Rows by their ids.

        Args:
            ids: (n,) ids, in any order.
            embeddings: Whether they are wanted. Defaults to False.

        Returns:
            Rows in the order of ``ids``, and the frames they index.

        Raises:
            GalleryKeyError: There is no such row.
        """

    @abstractmethod
    def people_in(self, frame: str, embeddings: bool = False) -> GalleryRows:
        """People of one frame, in the order they were added.

        Args:
            frame: Its name.
            embeddings: Whether they are wanted. Defaults to False.

        Raises:
            GalleryKeyError: There is no such frame.
        """

    @abstractmethod
    def frame(self, frame_id: int) -> Frame:
        """A frame by its id.

        Args:
            frame_id: :func:`stable_id` of its name.

        Raises:
            GalleryKeyError: There is no such frame.
        """

    @abstractmethod
    def has_frames(self, names: Sequence[str]) -> np.ndarray:
        """(n,) bool, which frames are there.

        Args:
            names: n names.
        """

    @abstractmethod
    def list_frames(self, offset: int = 0, limit: int = 100) -> list[Frame]:
        """Some frames, sorted by name; without marks of finished videos.

        Args:
            offset: How many to leave out. Defaults to 0.
            limit: How many to list, at most. Defaults to 100.
        """

    @abstractmethod
    def cameras(self) -> list[str]:
        """Names of all cameras, sorted; '' stands for an unknown one."""

    @abstractmethod
    def scan(
        self, batch_size: int = 4096, embeddings: bool = True
    ) -> Iterator[tuple[GalleryRows, list[Frame]]]:
        """All rows in batches, each with the frames it indexes.

        Rows are sorted by frame name, then in the order they were added.

        Args:
            batch_size: Rows of a batch, at most. Defaults to 4096.
            embeddings: Whether they are wanted. Defaults to True.
        """

    @abstractmethod
    def count(self, filters: Filters | None = None) -> int:
        """Number of rows that pass the filters.

        Args:
            filters: Which rows to count. Defaults to None, all.
        """

    @abstractmethod
    def set_threshold(self, threshold: float | None) -> None:
        """Store the lowest similarity of a match that is accepted.

        Args:
            threshold: Put into the header; None for none.

        Raises:
            GalleryError: The gallery is read-only.
        """

    @abstractmethod
    def persist(self) -> None:
        """Tidy up what is stored; :meth:`add` has stored it already."""

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """Header, engine, and counts: ``rows``, ``frames``, ``bytes``."""

    @abstractmethod
    def close(self) -> None:
        """Release files, locks and connections; may be called twice."""

    @abstractmethod
    def _add(self, frames: Sequence[Frame], rows: GalleryRows) -> None:
        """Store checked frames and rows; see :meth:`add`.

        Args:
            frames: Distinct names; may be empty, as may the rows.
            rows: Distinct ids; embeddings (n, D) in the header's ``dtype``,
                of unit length where the header asks for it.
        """

    @abstractmethod
    def _search(
        self, queries: np.ndarray, k: int, filters: Filters
    ) -> Matches:
        """Find the rows of greatest dot product; see :meth:`search`.

        Args:
            queries: (q, D) float32, q >= 1, of unit length where the header
                asks for it.
            k: At least 1, perhaps more than there are rows.
            filters: Which rows to look at.

        Returns:
            (q, k) ids and float32 similarities, best first, equal ones in
            the order of adding; id -1 and similarity -inf where there are
            fewer.
        """

    @abstractmethod
    def _delete(self, ids: np.ndarray, frames: Sequence[str]) -> int:
        """Remove rows and frames; see :meth:`delete`.

        Args:
            ids: (n,) int64, unknown ones among them.
            frames: Names, unknown ones among them. Marks whose source is the
                ``video`` of one of them have to be removed, too.

        Returns:
            Number of rows removed, each counted once.
        """

    def _check_writable(self) -> None:
        if self.read_only:
            raise GalleryError(f'{self.uri}: was opened for reading only')


def _as_stored(vectors: np.ndarray, header: GalleryHeader) -> np.ndarray:
    """Embeddings as the header says: unit length, number format."""
    if header.normalised and len(vectors):
        vectors = _unit(vectors)
    with np.errstate(over='ignore'):
        stored = vectors.astype(header.dtype)
    if not np.isfinite(stored).all():
        raise GalleryError(f'embeddings: too large for {header.dtype}')
    return stored


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale to unit length, without overflow of large or small values."""
    vectors = vectors.astype(np.float64)
    vectors /= np.abs(vectors).max(axis=1, keepdims=True)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

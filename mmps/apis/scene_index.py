"""An index of whole pictures, and a search that detects people only then."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmps.gallery import Filters, Frame
from mmps.gallery.opening import path_beside
from mmps.structures import scene_scores
from mmps.structures.array_checks import (
    check_finite,
    names_list,
    numbers,
    strings,
)
from mmps.structures.npz import read_npz
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole

from .searching import SearchResult

_FIELDS = ('names', 'sources', 'cameras', 'times', 'embeddings', 'model_hash')


@dataclass
class SceneIndex:
    """Embeddings of pictures as a whole (GFN), beside a gallery of people.

    To make one takes the backbone and the filter's last stage; people are
    looked for once a query asks for a picture.

    Args:
        model_hash: Of the model that made it.
        frames: The pictures, as a gallery has them. Defaults to none.
        embeddings: (n, S) float32. Defaults to none.
        bad: Files that could not be used, and why.

    Raises:
        ValueError: Lengths or values are wrong.
    """

    model_hash: str
    frames: list[Frame] = field(default_factory=list)
    embeddings: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    bad: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.frames:
            names_list(self.names)
        self.embeddings = numbers(
            'embeddings',
            self.embeddings,
            (len(self.frames), None),
            np.float32,
            floating=True,
        )
        check_finite('embeddings', self.embeddings)

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.frames)

    @property
    def names(self) -> list[str]:
        """Names of the pictures."""
        return [frame.name for frame in self.frames]

    def add(
        self, frames: Sequence[Frame], embeddings: Sequence[np.ndarray]
    ) -> None:
        """Add pictures.

        Args:
            frames: The pictures.
            embeddings: (m, S).

        Raises:
            ValueError: One is there already, or values are wrong.
        """
        if not len(frames):
            return
        embeddings = np.asarray(embeddings)
        if len(self):
            embeddings = np.concatenate((self.embeddings, embeddings))
        frames = [*self.frames, *frames]
        whole = SceneIndex(self.model_hash, frames, embeddings)
        self.frames, self.embeddings = whole.frames, whole.embeddings

    def passing(self, filters: Filters) -> np.ndarray:
        """(n,) bool, pictures that a search with these filters looks at.

        Args:
            filters: Cameras, times and names of frames count.
        """
        names = np.array(self.names, np.str_)
        cameras = np.array([frame.camera for frame in self.frames], np.str_)
        times = np.array([frame.time for frame in self.frames], np.float64)
        passes = ~np.isin(names, list(filters.exclude_frames))
        passes &= ~np.isin(cameras, list(filters.exclude_cameras))
        if filters.frames is not None:
            passes &= np.isin(names, list(filters.frames))
        if filters.cameras is not None:
            passes &= np.isin(cameras, list(filters.cameras))
        if filters.after is not None:  # NaN compares as False
            passes &= times >= filters.after
        if filters.before is not None:
            passes &= times < filters.before
        return passes

    def scores(self, scene_filter: np.ndarray) -> np.ndarray:
        """(n,) how likely a person is to be in every picture.

        Args:
            scene_filter: (3, S), see :meth:`PersonModel.scene_filter`.
        """
        if not len(self):
            return np.zeros(0)
        return scene_scores(scene_filter[None], self.embeddings)[0]

    def save(self, path: str | os.PathLike) -> None:
        """Write it to one ``.npz`` without pickle, whole or not at all.

        Args:
            path: Where to write.
        """
        arrays = dict(
            names=np.asarray(self.names, np.str_),
            sources=np.asarray([f.source for f in self.frames], np.str_),
            cameras=np.asarray([f.camera for f in self.frames], np.str_),
            times=np.asarray([f.time for f in self.frames], np.float64),
            embeddings=self.embeddings,
            model_hash=np.asarray(self.model_hash),
        )
        write_whole(Path(path), lambda file: np.savez(file, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'SceneIndex':
        """Read and check what :meth:`save` wrote.

        Args:
            path: The file.

        Raises:
            UsageError: It is missing, damaged or something else.
        """
        try:
            with Path(path).open('rb') as file:
                arrays = read_npz(file, _FIELDS)
            num = len(names_list(arrays['names']))
            times = numbers(
                'times', arrays['times'], (num,), np.float64, floating=True
            )
            frames = [
                Frame(name, source, camera=camera, time=time)
                for name, source, camera, time in zip(
                    arrays['names'].tolist(),
                    strings('sources', arrays['sources'], num).tolist(),
                    strings('cameras', arrays['cameras'], num).tolist(),
                    times.tolist(),
                    strict=True,
                )
            ]
            return cls(str(arrays['model_hash']), frames, arrays['embeddings'])
        except (OSError, ValueError) as err:
            raise UsageError(f'{path}: no index of scenes: {err}') from err


def scenes_file(uri: str | os.PathLike) -> Path:
    """Where the command line keeps the index of scenes of a gallery."""
    return path_beside(uri, '.scenes.npz')


@dataclass
class SceneSearchResult(SearchResult):
    """Answers of a search that looked into likely pictures only.

    ``similarity`` of the matches is that of the embeddings; their order is
    by its product with the picture's score.

    Args:
        num_frames: Pictures of the index that pass the filters, without the
            query's own.
        num_likely: Those that were searched.
        num_detected: Those of them in which people had to be detected first.
        bad: Files that could not be used for that, and why.
    """

    num_frames: int = 0
    num_likely: int = 0
    num_detected: int = 0
    bad: list[str] = field(default_factory=list)


def by_product(
    result: SearchResult, index: SceneIndex, scores: np.ndarray, k: int
) -> list:
    """The first k matches by similarity times the score of their picture.

    Args:
        result: Of the pictures of the index, with more matches than are
            asked for.
        index: Of the pictures.
        scores: (n,) of them.
        k: Answers.
    """
    of_frame = dict(zip(index.names, scores.tolist()))
    matches = sorted(
        result.matches,
        key=lambda match: -match.similarity * of_frame[match.frame.name],
    )
    return matches[:k]

"""Predictions of a whole test set, in memory and in one file."""

import os
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from mmps.utils.files import write_whole

from .array_checks import check_finite, names_list, numbers
from .frame_splits import check_splits, ranges, splits_from_counts
from .ground_truth import SearchGroundTruth
from .npz import read_npz

# Fields that only models with a gallery filter give.
_SCENES = ('scene_embeddings', 'query_scene_filters')


@dataclass
class SearchPredictions:
    """Detections of every frame and the queries' embeddings.

    Args:
        frame_names: F unique names, in any order.
        frame_splits: (F + 1,) offsets of the frames' detections.
        bboxes: (N, 4) in pixels of the original image.
        scores: (N,) detection scores.
        embeddings: (N, D); similarity is their dot product with a query's.
        query_embeddings: (Q, D) in the data set's query order.
        scene_embeddings: (F, S) of whole frames, for :func:`scene_scores`.
            Defaults to None, which is none.
        query_scene_filters: (Q, 3, S), likewise.

    Raises:
        ValueError: A field has a wrong shape or a value that is not finite.
    """

    frame_names: list[str]
    frame_splits: np.ndarray
    bboxes: np.ndarray
    scores: np.ndarray
    embeddings: np.ndarray
    query_embeddings: np.ndarray
    scene_embeddings: np.ndarray | None = None
    query_scene_filters: np.ndarray | None = None

    def __post_init__(self) -> None:
        self.frame_names = names_list(self.frame_names)
        self.frame_splits = numbers(
            'frame_splits',
            self.frame_splits,
            (len(self.frame_names) + 1,),
            np.int64,
        )
        self.bboxes = numbers('bboxes', self.bboxes, (None, 4), floating=True)
        num = len(self.bboxes)
        check_splits('frame_splits', self.frame_splits, num)
        self.scores = numbers('scores', self.scores, (num,), floating=True)
        self.embeddings = numbers(
            'embeddings', self.embeddings, (num, None), floating=True
        )
        self.query_embeddings = numbers(
            'query_embeddings',
            self.query_embeddings,
            (None, None),
            floating=True,
        )
        dims = self.embeddings.shape[1], self.query_embeddings.shape[1]
        if dims[0] != dims[1]:
            raise ValueError(
                f'query_embeddings: dimension {dims[1]}, but embeddings have '
                f'dimension {dims[0]}'
            )
        for name in ('bboxes', 'scores', 'embeddings', 'query_embeddings'):
            check_finite(name, getattr(self, name))
        self._check_scenes()

    def _check_scenes(self) -> None:
        scenes, filters = self.scene_embeddings, self.query_scene_filters
        if (scenes is None) != (filters is None):
            raise ValueError(
                'scene_embeddings and query_scene_filters: expected both or '
                'none'
            )
        if scenes is None:
            return
        self.scene_embeddings = numbers(
            'scene_embeddings',
            scenes,
            (len(self.frame_names), None),
            floating=True,
        )
        self.query_scene_filters = numbers(
            'query_scene_filters',
            filters,
            (len(self.query_embeddings), 3, self.scene_embeddings.shape[1]),
            floating=True,
        )
        for name in _SCENES:
            check_finite(name, getattr(self, name))

    @property
    def has_scenes(self) -> bool:
        """Whether frames can be compared with queries."""
        return self.scene_embeddings is not None

    def save(self, path: str | os.PathLike) -> None:
        """Write all fields to one ``.npz`` without pickle.

        The file appears under its name only once it is complete.

        Args:
            path: Where to write, ending in ``.npz``.

        Raises:
            ValueError: The name does not end in ``.npz``.
        """
        path = Path(path)
        if path.suffix != '.npz':
            raise ValueError(f'{path}: predictions are written as .npz')
        path.parent.mkdir(parents=True, exist_ok=True)
        arrays = {
            f.name: value
            for f in fields(self)
            if (value := getattr(self, f.name)) is not None
        }
        arrays['frame_names'] = np.asarray(self.frame_names, dtype=np.str_)
        write_whole(path, lambda file: np.savez(file, **arrays))

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'SearchPredictions':
        """Read and check what :meth:`save` wrote.

        Args:
            path: The ``.npz`` file.

        Returns:
            The predictions.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Not an npz file, a key is missing, or a key has a
                wrong shape or value; the message names file and key.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f'{path}: no such predictions file')
        with path.open('rb') as file:
            try:
                names = [f.name for f in fields(cls) if f.name not in _SCENES]
                return cls(**read_npz(file, names, optional=_SCENES))
            except ValueError as err:
                raise ValueError(f'{path}: {err}') from err

    def select(self, keep: np.ndarray) -> 'SearchPredictions':
        """Keep some detections, and every frame and query.

        Args:
            keep: (N,) bool mask.

        Returns:
            The rest, in the same order.
        """
        return SearchPredictions(
            self.frame_names,
            splits_from_counts(keep)[self.frame_splits],
            self.bboxes[keep],
            self.scores[keep],
            self.embeddings[keep],
            self.query_embeddings,
            self.scene_embeddings,
            self.query_scene_filters,
        )

    def align(self, truth: SearchGroundTruth) -> 'SearchPredictions':
        """Put the frames in the data set's order, matched by name.

        Args:
            truth: The test set these predictions claim to be of.

        Returns:
            Predictions with ``truth``'s frame order; self if it has it.

        Raises:
            ValueError: The frames are not those of the data set, or the
                number of query embeddings is not that of its queries.
        """
        if self.frame_names != truth.frame_names:
            _check_same_frames(self.frame_names, truth.frame_names)
        if len(self.query_embeddings) != truth.num_queries:
            raise ValueError(
                f'query_embeddings: {len(self.query_embeddings)} rows, but '
                f'the data set has {truth.num_queries} queries'
            )
        if self.frame_names == truth.frame_names:
            return self
        place = {name: i for i, name in enumerate(self.frame_names)}
        order = np.array([place[name] for name in truth.frame_names])
        counts = np.diff(self.frame_splits)[order]
        rows = ranges(self.frame_splits[order], counts)
        return SearchPredictions(
            list(truth.frame_names),
            splits_from_counts(counts),
            self.bboxes[rows],
            self.scores[rows],
            self.embeddings[rows],
            self.query_embeddings,
            None if not self.has_scenes else self.scene_embeddings[order],
            self.query_scene_filters,
        )


def _check_same_frames(stored: list[str], wanted: list[str]) -> None:
    extra = sorted(set(stored) - set(wanted))
    missing = sorted(set(wanted) - set(stored))
    parts = [
        f'{len(names)} {what} (first: {", ".join(names[:3])})'
        for names, what in (
            (missing, 'frames of the data set are missing'),
            (extra, 'frames are not in the data set'),
        )
        if names
    ]
    if parts:
        raise ValueError(f'frame_names: {"; ".join(parts)}')

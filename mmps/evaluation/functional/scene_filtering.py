"""The gallery filter in an evaluation: a factor per frame, and a threshold."""

from dataclasses import dataclass

import numpy as np

from mmps.structures import SearchPredictions, scene_scores


@dataclass(frozen=True)
class SceneFiltering:
    """How scenes have a part in a search (GFN).

    The similarities of a frame's detections are multiplied by the frame's
    score for the query (:func:`~mmps.structures.scene_scores`). Frames with
    a lower score than ``thr`` are not searched, as if nobody had been
    detected in them: what a search that detects people only then saves.

    Source: Jaffe and Zakhor, "Gallery Filter Network for Person Search",
    WACV 2023, section 3.3.

    Args:
        thr: 0 to 1; scores are between 0.27 and 0.73. Defaults to 0, all
            frames.

    Raises:
        ValueError: ``thr`` is out of range.
    """

    thr: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.thr <= 1:
            raise ValueError(
                f'scene_filter: thr is {self.thr}, expected 0 to 1'
            )


class SceneFilter:
    """Scores of frames, for the queries of a test set.

    Args:
        preds: With scene embeddings, in the order of the test set.
        cfg: Settings.

    Raises:
        ValueError: The predictions have none.
    """

    def __init__(self, preds: SearchPredictions, cfg: SceneFiltering) -> None:
        if not preds.has_scenes:
            raise ValueError(
                'scene_filter: the predictions have no scene_embeddings; '
                'expected those of a model with a gallery_filter'
            )
        self.cfg = cfg
        self._filters = preds.query_scene_filters
        self._scenes = preds.scene_embeddings

    def scores(self, queries: np.ndarray) -> np.ndarray:
        """(B, F) scores of all frames for some queries.

        Args:
            queries: (B,) their indices.
        """
        # One value per query and frame, whatever the order of products.
        scores = scene_scores(self._filters[queries], self._scenes)
        return scores.astype(np.float32)

    def weighted(
        self, sims: np.ndarray, queries: np.ndarray, det_frames: np.ndarray
    ) -> np.ndarray:
        """(B, N) similarities, times the scores of their frames.

        Args:
            sims: (B, N).
            queries: (B,) indices of the queries.
            det_frames: (N,) frame of every detection.
        """
        return sims * self.scores(queries)[:, det_frames]

    def searched(self, queries: np.ndarray) -> np.ndarray:
        """(B, F) bool, whether a frame is searched at all.

        Args:
            queries: (B,) their indices.
        """
        return self.scores(queries) >= self.cfg.thr

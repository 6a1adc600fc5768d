"""Context bipartite graph matching (SeqNet, AAAI 2021, section 3.3).

The people beside the query in its own frame are matched with those beside the
candidate: a similarity is replaced by the largest similarity of the best
one-to-one matching between the two groups.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    ranges,
    splits_from_counts,
)

from .paired_boxes import paired_iou, same_frame_pairs
from .ranking import gallery_table

_LEAST_LENGTH = 1e-12


@dataclass(frozen=True)
class ContextMatching:
    """Settings of the re-scoring.

    Args:
        k1: The frames of a query's k1 most similar detections are
            re-scored. 10 on CUHK-SYSU, 30 on PRW.
        k2: People of the query's frame that take part: the query and the
            k2 - 1 best-scored others. 3 on CUHK-SYSU, 4 on PRW.
        same_person_iou: Detections of the query's frame that overlap the
            query more than this are the query itself, not its company.
            Defaults to 0.4.
        unit_company: Compare the query's company by unit vectors also where
            embeddings carry their score, as in SeqNet's published code.
            Defaults to False.
    """

    k1: int
    k2: int
    same_person_iou: float = 0.4
    unit_company: bool = False

    def __post_init__(self) -> None:
        if self.k1 < 1 or self.k2 < 1:
            raise ValueError(
                f'cbgm: k1 and k2 must be 1 or more, got {self.k1}, {self.k2}'
            )

    @classmethod
    def default_for(cls, truth: SearchGroundTruth) -> 'ContextMatching':
        """SeqNet's choice: 10/3 with explicit galleries, else 30/4."""
        return cls(10, 3) if truth.galleries else cls(30, 4)


class ContextMatcher:
    """Re-scores similarities; holds the company of every query.

    Args:
        truth: Ground truth of the test set.
        preds: Its predictions, aligned, above the search threshold.
        settings: k1, k2 and the overlap of one person.
    """

    def __init__(
        self,
        truth: SearchGroundTruth,
        preds: SearchPredictions,
        settings: ContextMatching,
    ) -> None:
        self.settings = settings
        self.frame_splits = preds.frame_splits
        self.counts = np.diff(preds.frame_splits)
        self.embeddings = preds.embeddings
        self.query_embeddings = preds.query_embeddings
        queries, dets = same_frame_pairs(truth.query_frames, self.frame_splits)
        iou = paired_iou(truth.query_bboxes[queries], preds.bboxes[dets])
        other = iou <= settings.same_person_iou
        queries, dets = queries[other], dets[other]
        # Best-scored first; equal scores stay in the frame's order.
        order = np.lexsort((-preds.scores[dets], queries))
        self.company = dets[order]
        self.company_splits = splits_from_counts(
            np.bincount(queries, minlength=truth.num_queries)
        )

    def __call__(
        self,
        sims: np.ndarray,
        queries: np.ndarray,
        in_gallery: np.ndarray,
        det_frames: np.ndarray,
    ) -> np.ndarray:
        """Replace the similarities of the matched detections.

        Args:
            sims: (B, N) float32 similarity to every detection.
            queries: (B,) query index of each row.
            in_gallery: (B, F) bool, the frames of each row's gallery.
            det_frames: (N,) frame of each detection.

        Returns:
            (B, N), a changed copy.
        """
        out = sims.copy()
        rows, dets = self._best(sims, in_gallery)
        num_frames = len(self.counts)
        pairs = np.unique(rows * num_frames + det_frames[dets])
        rows, frames = np.divmod(pairs, max(num_frames, 1))
        starts = splits_from_counts(np.bincount(rows, minlength=len(queries)))
        for row, query in enumerate(queries):
            near = frames[starts[row] : starts[row + 1]]
            counts = self.counts[near]
            dets = ranges(self.frame_splits[near], counts)
            graph = self._group(query) @ self.embeddings[dets].T.astype(float)
            graph = graph.astype(np.float32)
            graph[0] = sims[row, dets]
            stop = 0
            for count in counts.tolist():
                start, stop = stop, stop + count
                frame = graph[:, start:stop]
                people, found = linear_sum_assignment(frame, maximize=True)
                if people[0] == 0:
                    edge = frame[people, found].max()
                    out[row, dets[start + found[0]]] = edge
        return out

    def _best(
        self, sims: np.ndarray, in_gallery: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows and detections of the k1 most similar ones of every row."""
        k1 = self.settings.k1
        values, table = gallery_table(sims, in_gallery, self.frame_splits)
        last = max(0, values.shape[1] - k1)
        bound = values[:, last : last + 1]
        if bound.size:
            bound = np.partition(values, last, axis=1)[:, last : last + 1]
        bound = np.maximum(bound, np.finfo(sims.dtype).min)
        cells = np.flatnonzero(values >= bound)
        rows, columns = np.divmod(cells, max(values.shape[1], 1))
        # Of equal ones at the k1-th place, the first detections.
        order = np.lexsort((columns, -values.flat[cells], rows))
        rows, columns = rows[order], columns[order]
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        near = rows[rank < k1], columns[rank < k1]
        return near[0], table[near]

    def _group(self, query: int) -> np.ndarray:
        """(g, D) float64 embeddings of a query and its company."""
        start, end = self.company_splits[query : query + 2]
        others = self.company[start:end][: self.settings.k2 - 1]
        company = self.embeddings[others].astype(np.float64)
        if self.settings.unit_company:
            length = np.linalg.norm(company, axis=1, keepdims=True)
            company /= np.maximum(length, _LEAST_LENGTH)
        return np.concatenate((self.query_embeddings[query][None], company))

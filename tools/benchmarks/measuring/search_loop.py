"""The evaluation of person search as it is usually written: a plain loop."""

from collections.abc import Iterable

import numpy as np
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import average_precision_score

from mmps.evaluation.functional import ContextMatching
from mmps.structures import SearchGroundTruth, SearchPredictions


class LoopEvaluation:
    """Query by query and frame by frame, with the same outcome as ours.

    Args:
        truth: Ground truth; nobody is twice in a frame.
        preds: Predictions in its frame order.
        det_thr: Detections with a lower score take no part.
    """

    def __init__(
        self,
        truth: SearchGroundTruth,
        preds: SearchPredictions,
        det_thr: float = 0.5,
    ) -> None:
        self.truth = truth
        # In double precision, so that near ties end as in ours.
        self.queries = preds.query_embeddings.astype(np.float64)
        found = preds.bboxes, preds.embeddings.astype(np.float64), preds.scores
        self.frames = []
        for begin, end in zip(preds.frame_splits[:-1], preds.frame_splits[1:]):
            keep = preds.scores[begin:end] >= det_thr
            self.frames.append(tuple(x[begin:end][keep] for x in found))
        self.people = [
            dict(zip(truth.person_ids[begin:end], truth.bboxes[begin:end]))
            for begin, end in zip(
                truth.frame_splits[:-1], truth.frame_splits[1:]
            )
        ]

    def __call__(
        self,
        queries: Iterable[int],
        gallery: str | None = None,
        cbgm: ContextMatching | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Evaluate.

        Args:
            queries: Indices into the query list.
            gallery: Name of an explicit gallery; None for every frame but
                the query's own. Defaults to None.
            cbgm: Settings of the re-scoring by context. Defaults to None.

        Returns:
            (q,) average precision x recall, and (q,) first right rank or -1.
        """
        found = [self._query(query, gallery, cbgm) for query in queries]
        return tuple(map(np.array, zip(*found)))

    def _query(
        self, query: int, gallery: str | None, cbgm: ContextMatching | None
    ) -> tuple[float, int]:
        feature = self.queries[query]
        shown, positives = self._shown(query, gallery)
        sims = {
            frame: self.frames[frame][1].dot(feature).astype(np.float32)
            for frame in shown
            if len(self.frames[frame][0])
        }
        if cbgm is not None:
            self._rescore(query, sims, cbgm)
        y_true, y_score, hits = [], [], 0
        for frame, box in shown.items():
            if frame not in sims:
                continue
            labels = np.zeros(len(sims[frame]), dtype=np.int32)
            if box is not None:
                w, h = box[2] - box[0], box[3] - box[1]
                threshold = min(0.5, w * h / ((w + 10) * (h + 10)))
                for i in np.argsort(-sims[frame], kind='stable'):
                    if iou(self.frames[frame][0][i], box) >= threshold:
                        labels[i] = 1
                        hits += 1
                        break
            y_true.extend(labels)
            y_score.extend(sims[frame])
        ap = average_precision_score(y_true, y_score) if hits else 0.0
        order = np.argsort(-np.array(y_score), kind='stable')
        ranks = np.flatnonzero(np.array(y_true)[order])
        rank = ranks[0] if len(ranks) else -1
        return ap * hits / max(positives, 1), rank

    def _shown(
        self, query: int, gallery: str | None
    ) -> tuple[dict[int, np.ndarray | None], int]:
        """Frames of a gallery with the person's box or None; positives."""
        own = self.truth.query_frames[query]
        every = range(self.truth.num_frames)
        if gallery is None:
            person = self.truth.query_person_ids[query]
            shown = {i: self.people[i].get(person) for i in every if i != own}
            return shown, sum(box is not None for box in shown.values())
        lists = self.truth.galleries[gallery]
        row = np.flatnonzero(lists.queries == query)[0]
        begin, end = lists.splits[row : row + 2]
        shown, positives = {}, 0
        for frame, box in zip(
            lists.frames[begin:end].tolist(), lists.bboxes[begin:end]
        ):
            box = None if np.isnan(box[0]) else box
            shown.setdefault(frame, box)
            positives += box is not None
        if lists.rest_of_frames:
            for frame in every:
                if frame != own:
                    shown.setdefault(frame, None)
        return dict(sorted(shown.items())), positives

    def _rescore(
        self, query: int, sims: dict[int, np.ndarray], cbgm: ContextMatching
    ) -> None:
        """Context bipartite graph matching, frame by frame."""
        boxes, features, scores = self.frames[self.truth.query_frames[query]]
        own = self.truth.query_bboxes[query]
        others = [
            i
            for i in np.argsort(-scores, kind='stable')
            if iou(boxes[i], own) <= cbgm.same_person_iou
        ]
        group = [self.queries[query]]
        group += [features[i] for i in others[: cbgm.k2 - 1]]
        if not sims:
            return
        owners = np.repeat(list(sims), [len(found) for found in sims.values()])
        order = np.argsort(-np.concatenate(list(sims.values())), kind='stable')
        for frame in set(owners[order[: cbgm.k1]].tolist()):
            graph = np.array(
                [
                    [person.dot(found) for found in self.frames[frame][1]]
                    for person in group
                ],
                dtype=np.float32,
            )
            people, chosen = linear_sum_assignment(graph, maximize=True)
            if people[0] == 0:
                sims[frame][chosen[0]] = graph[people, chosen].max()


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return inter / (union - inter)

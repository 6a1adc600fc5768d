"""Detection recall and average precision, as person search reports them."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score

from mmps.structures import (
    SearchGroundTruth,
    SearchPredictions,
    frame_of_rows,
)

from .paired_boxes import first_of_best, paired_iou, same_frame_pairs

_MATCH_IOU = 0.5


@dataclass
class DetectionResult:
    """Detection accuracy at a score threshold, as fractions.

    Args:
        score_thr: Detections with a lower score took no part.
        recall: Share of all annotated people that were found.
        ap: Average precision x recall over all annotated people.
        labelled_recall: Share of the labelled people that were found.
        labelled_ap: Average precision x recall over labelled people;
            detections of unlabelled people count neither way.
    """

    score_thr: float
    recall: float
    ap: float
    labelled_recall: float
    labelled_ap: float

    def metrics(self) -> dict[str, float]:
        """The four figures under the metric's key names."""
        return {
            'recall': self.recall,
            'AP': self.ap,
            'labelled_recall': self.labelled_recall,
            'labelled_AP': self.labelled_ap,
        }


def evaluate_detection(
    truth: SearchGroundTruth,
    preds: SearchPredictions,
    score_thr: float = 0.01,
) -> DetectionResult:
    """Evaluate detection: IoU 0.5, one match per person and detection.

    A detection and a person match when each is the other's best by IoU and
    that IoU is at least 0.5 (the field's rule, SeqNet's evaluation). AP is
    sklearn's over all detections, times recall.

    >>> from mmps.evaluation.functional import evaluate_detection
    >>> from mmps.testing import (
    ...     noisy_predictions, random_ground_truth)
    >>> truth = random_ground_truth()
    >>> preds = noisy_predictions(
    ...     truth, found=1.0, false_per_frame=0.0, box_noise=0.0)
    >>> evaluate_detection(truth, preds).metrics()['AP']
    1.0

    Args:
        truth: Ground truth; people with id -1 are unlabelled.
        preds: Predictions of the same frames, in any order.
        score_thr: Detections with a lower score take no part.

    Returns:
        The four figures; NaN where the ground truth holds nobody.

    Raises:
        ValueError: The predictions are not of these frames.
    """
    preds = preds.align(truth)
    preds = preds.select(preds.scores >= score_thr)
    dets, boxes = same_frame_pairs(
        frame_of_rows(preds.frame_splits), truth.frame_splits
    )
    iou = paired_iou(preds.bboxes[dets], truth.bboxes[boxes])
    near = iou >= _MATCH_IOU
    dets, boxes, iou = dets[near], boxes[near], iou[near]
    labelled = truth.person_ids >= 0

    matched = _mutual_best(dets, boxes, iou)
    right = np.zeros(len(preds.scores), dtype=bool)
    right[dets[matched]] = True
    recall, ap = _recall_and_ap(right, preds.scores, len(truth.bboxes))

    known = labelled[boxes]
    matched = _mutual_best(dets[known], boxes[known], iou[known])
    right = np.zeros(len(preds.scores), dtype=bool)
    right[dets[known][matched]] = True
    # A detection of an unlabelled person is no error.
    ignored = np.zeros(len(preds.scores), dtype=bool)
    ignored[dets[~known]] = True
    judged = right | ~ignored
    labelled_recall, labelled_ap = _recall_and_ap(
        right[judged], preds.scores[judged], int(labelled.sum())
    )
    return DetectionResult(score_thr, recall, ap, labelled_recall, labelled_ap)


def _mutual_best(
    dets: np.ndarray, boxes: np.ndarray, iou: np.ndarray
) -> np.ndarray:
    """Pairs (indices) that are best for both sides, the first on ties."""
    by_det = first_of_best(iou, dets, boxes)
    by_box = first_of_best(iou, boxes, dets)
    return np.intersect1d(by_det, by_box)


def _recall_and_ap(
    right: np.ndarray, scores: np.ndarray, num_people: int
) -> tuple[float, float]:
    if not num_people:
        return float('nan'), float('nan')
    if not right.any():
        return 0.0, 0.0
    recall = float(right.sum() / num_people)
    return recall, float(average_precision_score(right, scores)) * recall

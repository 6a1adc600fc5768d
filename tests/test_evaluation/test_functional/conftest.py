"""Slow, plain loops that the evaluation has to agree with."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score


def iou(a, b):
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    area_a = (a[2] - a[0]) * (a[3] - a[1])
    area_b = (b[2] - b[0]) * (b[3] - b[1])
    return inter / (area_a + area_b - inter) if inter else 0.0


def gallery_of(truth, query, protocol, gallery):
    """Return {frame: boxes of the person} and the number of positives."""
    own = truth.query_frames[query]
    person = truth.query_person_ids[query]
    shown, positives = {}, 0
    if gallery is None:
        for frame in range(len(truth.frame_names)):
            if frame == own:
                continue
            begin, end = truth.frame_splits[frame : frame + 2]
            boxes = [
                truth.bboxes[i]
                for i in range(begin, end)
                if truth.person_ids[i] == person
            ]
            shown[frame] = boxes
            positives += bool(boxes)
    else:
        lists = truth.galleries[gallery]
        i = list(lists.queries).index(query)
        for entry in range(lists.splits[i], lists.splits[i + 1]):
            frame, box = lists.frames[entry], lists.bboxes[entry]
            if not camera_fits(truth, own, frame, protocol):
                continue
            has_box = not np.isnan(box).any()
            positives += has_box
            if frame not in shown:
                shown[frame] = [box] if has_box else []
        if lists.rest_of_frames:
            for frame in range(len(truth.frame_names)):
                if frame != own:
                    shown.setdefault(frame, [])
    kept = {
        frame: boxes
        for frame, boxes in shown.items()
        if camera_fits(truth, own, frame, protocol)
    }
    if gallery is None:
        positives = sum(bool(boxes) for boxes in kept.values())
    return kept, positives


def camera_fits(truth, own, frame, protocol):
    same = truth.camera_ids[own] == truth.camera_ids[frame]
    return protocol == 'regular' or same == (protocol == 'same-camera')


@pytest.fixture(scope='session')
def loop_search():
    """Search by a loop over queries, frames and detections."""

    def search(
        truth,
        preds,
        det_thr=0.5,
        protocol='regular',
        gallery=None,
        similarity=None,
    ):
        place = {name: i for i, name in enumerate(preds.frame_names)}
        aps, ranks, positives_of = {}, {}, {}
        queries = (
            range(len(truth.query_bboxes))
            if gallery is None
            else truth.galleries[gallery].queries
        )
        for query in queries:
            shown, positives = gallery_of(truth, query, protocol, gallery)
            if positives == 0 and protocol != 'regular':
                continue
            y_true, y_score = [], []
            feature = preds.query_embeddings[query].astype(np.float64)
            for frame in sorted(shown):
                stored = place[truth.frame_names[frame]]
                begin, end = preds.frame_splits[stored : stored + 2]
                dets = [
                    i for i in range(begin, end) if preds.scores[i] >= det_thr
                ]
                sims = [
                    np.float32(np.dot(preds.embeddings[i], feature))
                    for i in dets
                ]
                if similarity is not None:
                    sims = similarity(query, frame, dets, sims, shown)
                labels = [0] * len(dets)
                order = sorted(range(len(dets)), key=lambda j: -sims[j])
                for j in order:
                    right = False
                    for box in shown[frame]:
                        w = float(box[2]) - float(box[0])
                        h = float(box[3]) - float(box[1])
                        threshold = min(0.5, w * h / ((w + 10) * (h + 10)))
                        found = iou(
                            preds.bboxes[dets[j]].astype(float),
                            np.asarray(box, dtype=float),
                        )
                        right |= found >= threshold
                    if right:
                        labels[j] = 1
                        break
                y_true += labels
                y_score += sims
            found = sum(y_true)
            aps[query] = 0.0
            if found:
                aps[query] = (
                    average_precision_score(y_true, y_score)
                    * found
                    / positives
                )
            order = sorted(range(len(y_score)), key=lambda j: -y_score[j])
            hits = [rank for rank, j in enumerate(order) if y_true[j]]
            ranks[query] = hits[0] if hits else -1
            positives_of[query] = positives
        return aps, ranks, positives_of

    return search


@pytest.fixture(scope='session')
def agree(loop_search):
    """Assert that a result is what the loop finds, query by query."""

    def check(truth, preds, result, tolerance=1e-9, **kwargs):
        aps, ranks, positives = loop_search(truth, preds, **kwargs)
        assert result.queries.tolist() == sorted(aps)
        wanted = [aps[q] for q in sorted(aps)]
        np.testing.assert_allclose(result.aps, wanted, atol=tolerance)
        assert result.first_ranks.tolist() == [ranks[q] for q in sorted(aps)]
        assert result.num_positives.tolist() == [
            positives[q] for q in sorted(aps)
        ]

    return check


@pytest.fixture(scope='session')
def loop_detection():
    """Detection recall and AP by the field's mutual argmax, in loops."""

    def detect(truth, preds, score_thr, labelled):
        place = {name: i for i, name in enumerate(preds.frame_names)}
        y_true, y_score, people = [], [], 0
        for frame, name in enumerate(truth.frame_names):
            begin, end = truth.frame_splits[frame : frame + 2]
            boxes = list(range(begin, end))
            if labelled:
                boxes = [i for i in boxes if truth.person_ids[i] >= 0]
            strangers = [i for i in range(begin, end) if i not in boxes]
            people += len(boxes)
            begin, end = preds.frame_splits[place[name] : place[name] + 2]
            dets = [
                i for i in range(begin, end) if preds.scores[i] >= score_thr
            ]
            table = np.array(
                [[iou(preds.bboxes[d], truth.bboxes[b]) for d in dets]
                 for b in boxes]
            ).reshape(len(boxes), len(dets))  # fmt: skip
            for j, det in enumerate(dets):
                right = False
                if boxes:
                    best = int(np.argmax(table[:, j]))
                    right = (
                        table[best, j] >= 0.5
                        and int(np.argmax(table[best])) == j
                    )
                on_stranger = any(
                    iou(preds.bboxes[det], truth.bboxes[b]) >= 0.5
                    for b in strangers
                )
                if right or not on_stranger:
                    y_true.append(int(right))
                    y_score.append(preds.scores[det])
        recall = sum(y_true) / people
        ap = average_precision_score(y_true, y_score) if sum(y_true) else 0.0
        return recall, ap * recall

    return detect

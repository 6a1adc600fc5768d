"""Comparison of an ONNX file with its detector."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import nn

from .onnx_export import require_extra

BOX_TOLERANCE = 1e-3
SCORE_TOLERANCE = 1e-4
COSINE_TOLERANCE = 1e-4
# A person whose score or overlap lies on a threshold may be found by one of
# the two only. Boxes further apart than this are not of the same person.
_UNMATCHED_SHARE = 0.05
_SAME_BOX = 1.0


@dataclass
class Differences:
    """Greatest differences between a detector and its ONNX file.

    Args:
        people: Detections, or given boxes, that were compared.
        unmatched: Detections of one of the two that the other lacks.
        boxes: In pixels.
        scores: Of scores.
        cosine: One minus the cosine of embeddings.
    """

    people: int = 0
    unmatched: int = 0
    boxes: float = 0.0
    scores: float = 0.0
    cosine: float = 0.0

    def include(self, other: 'Differences') -> None:
        """Include the differences on another image."""
        self.people += other.people
        self.unmatched += other.unmatched
        for name in ('boxes', 'scores', 'cosine'):
            # Unlike max, it keeps what is not a number.
            greater = np.maximum(getattr(self, name), getattr(other, name))
            setattr(self, name, float(greater))

    @property
    def small(self) -> bool:
        """Whether all of them are within the tolerances."""
        allowed = _UNMATCHED_SHARE * (self.people + self.unmatched)
        return (
            self.unmatched <= allowed
            and self.boxes <= BOX_TOLERANCE
            and self.scores <= SCORE_TOLERANCE
            and self.cosine <= COSINE_TOLERANCE
        )


def check_onnx(
    model: nn.Module,
    path: str | os.PathLike,
    images: Sequence[np.ndarray],
    boxes: np.ndarray | None = None,
) -> Differences:
    """Run an ONNX file beside the detector it was made of.

    Args:
        model: The detector.
        path: File of :func:`export_onnx`.
        images: (H, W, 3) uint8 BGR each, of the size of the export.
        boxes: (q, 4) xyxy for a file that embeds given boxes. Defaults to
            None.

    Returns:
        Differences over all images.

    Raises:
        UsageError: The extra ``mmps[onnx]`` is missing.
    """
    require_extra('onnxruntime')
    import onnxruntime

    session = onnxruntime.InferenceSession(
        os.fspath(path), providers=['CPUExecutionProvider']
    )
    total = Differences()
    for image in images:
        given = dict(image=image.transpose(2, 0, 1)[None].astype(np.float32))
        if boxes is not None:
            given['boxes'] = np.asarray(boxes, np.float32)
        theirs = session.run(None, given)
        ours = predict(model, image, boxes)
        if boxes is None:
            total.include(_compare(ours, theirs))
        else:
            cosine = _cosine(ours[0], theirs[0])
            total.include(Differences(len(boxes), cosine=cosine))
    return total


@torch.no_grad()
def predict(
    model: nn.Module, image: np.ndarray, boxes: np.ndarray | None = None
) -> list[np.ndarray]:
    """A detector's outputs for an image, in the form of its ONNX file's.

    Args:
        model: The detector.
        image: (H, W, 3) uint8 BGR, the network's input.
        boxes: (q, 4) to embed. Defaults to None: people are found.

    Returns:
        Boxes, scores and embeddings; or the embeddings of ``boxes``.
    """
    size = image.shape[:2]
    sample = DetDataSample(
        metainfo=dict(img_shape=size, ori_shape=size, scale_factor=(1.0, 1.0))
    )
    if boxes is not None:
        sample.query_instances = InstanceData(bboxes=torch.tensor(boxes))
    pixels = torch.from_numpy(image.transpose(2, 0, 1).copy())
    batch = dict(inputs=[pixels], data_samples=[sample])
    (result,) = model.eval().test_step(batch)
    if boxes is not None:
        return [result.query_instances.embeddings.cpu().numpy()]
    found = result.pred_instances
    fields = (found.bboxes, found.scores, found.embeddings)
    return [field.cpu().numpy() for field in fields]


def _compare(
    ours: Sequence[np.ndarray], theirs: Sequence[np.ndarray]
) -> Differences:
    """Differences of the detections with the same box."""
    apart = np.abs(ours[0][:, None] - theirs[0][None]).max(-1)
    apart = np.where(apart < _SAME_BOX, apart, np.inf)
    num = len(ours[0]) + len(theirs[0])
    if not np.isfinite(apart).any():
        return Differences(unmatched=num)
    rows = np.flatnonzero(np.isfinite(apart.min(1)))
    columns = apart[rows].argmin(1)
    mutual = apart[:, columns].argmin(0) == rows
    rows, columns = rows[mutual], columns[mutual]
    scores = np.abs(ours[1][rows] - theirs[1][columns])
    return Differences(
        people=len(rows),
        unmatched=num - 2 * len(rows),
        boxes=float(apart[rows, columns].max()),
        scores=float(scores.max()),
        cosine=_cosine(ours[2][rows], theirs[2][columns]),
    )


def _cosine(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Greatest 1 - cosine of rows; rows of zeros are equal to each other."""
    product = (ours.astype(np.float64) * theirs).sum(1)
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(theirs, axis=1)
    both_zero = ~ours.any(1) & ~theirs.any(1)
    cosine = product / np.maximum(lengths, 1e-12)
    return float(np.where(both_zero, 0, 1 - cosine).max(initial=0))

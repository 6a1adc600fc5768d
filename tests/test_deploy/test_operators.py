"""Tests of NMS and RoIAlign against loops, and as ONNX operators."""

import numpy as np
import onnxruntime
import pytest
import torch
from mmcv.ops import RoIAlign
from torch import nn

from mmps.deploy.operators import nms, roi_align, translations

pytest.importorskip('torch', minversion='2.11')
IOU, SCORE, MAX_NUM = 0.4, 0.3, 12
ALIGN = (
    (7, 5, 1 / 8, 2, False),
    (4, 4, 1 / 8, 0, True),
    (3, 2, 1 / 4, 1, True),
)


def boxes_and_scores(seed, num=60, best=1.0):
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(num, 2, generator=rng) * 60
    sides = torch.rand(num, 2, generator=rng) * 40
    sides[::9] = 0  # empty boxes
    scores = torch.rand(num, generator=rng) * best
    scores[5] = scores[40]  # a tie
    return torch.cat((corners, corners + sides), 1), scores


def maps_and_rois(seed):
    rng = torch.Generator().manual_seed(seed)
    corners = torch.rand(20, 2, generator=rng) * 260 - 60  # some outside
    sides = torch.rand(20, 2, generator=rng) ** 4 * 200  # some tiny
    image = torch.randint(0, 2, (20, 1), generator=rng)
    rois = torch.cat((image, corners, corners + sides), 1)
    return torch.randn(2, 3, 16, 24, generator=rng), rois


def nms_by_loop(boxes, scores):
    boxes = boxes.double().numpy()
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -float(scores[i])):
        if not scores[i] > SCORE:
            continue
        for j in kept:
            low = np.maximum(boxes[i, :2], boxes[j, :2])
            high = np.minimum(boxes[i, 2:], boxes[j, 2:])
            both = np.prod(np.maximum(high - low, 0))
            union = area[i] + area[j] - both
            if union > 0 and both / union > IOU:
                break
        else:
            kept.append(i)
    return kept[:MAX_NUM]


class Both(nn.Module):
    def forward(self, boxes, scores, x, rois):
        index, valid = nms(boxes, scores, IOU, SCORE, MAX_NUM)
        return index, valid, *(roi_align(x, rois, *a) for a in ALIGN)


@pytest.fixture(scope='module')
def session(tmp_path_factory):
    path = tmp_path_factory.mktemp('onnx') / 'both.onnx'
    given = (*boxes_and_scores(0), *maps_and_rois(0))
    torch.onnx.export(
        torch.export.export(Both(), given),
        f=path,
        input_names=['boxes', 'scores', 'x', 'rois'],
        opset_version=20,
        custom_translation_table=translations(),
        dynamo=True,
        verbose=False,
    )
    return onnxruntime.InferenceSession(path)


def run(session, **given):
    return session.run(None, {k: v.numpy() for k, v in given.items()})


# All boxes may be chosen; fewer than MAX_NUM; one; none.
@pytest.mark.parametrize('best', [1.0, 0.33, 0.3005, 0.2])
@pytest.mark.parametrize('seed', range(3))
def test_nms_is_the_greedy_loop(session, seed, best):
    boxes, scores = boxes_and_scores(seed, best=best)
    want = nms_by_loop(boxes, scores)
    index, valid = nms(boxes, scores, IOU, SCORE, MAX_NUM)
    assert index[valid].tolist() == want
    assert valid.tolist() == [i < len(want) for i in range(MAX_NUM)]
    # Whoever takes a maximum over rows may forget about those left over.
    assert set(index[~valid].tolist()) <= {want[0] if want else 0}

    x, rois = maps_and_rois(0)
    theirs = run(session, boxes=boxes, scores=scores, x=x, rois=rois)
    np.testing.assert_array_equal(theirs[0], index.numpy())
    np.testing.assert_array_equal(theirs[1], valid.numpy())


@pytest.mark.parametrize('seed', range(4))
def test_roi_align_is_mmcvs(session, seed):
    boxes, scores = boxes_and_scores(0)
    x, rois = maps_and_rois(seed)
    found = run(session, boxes=boxes, scores=scores, x=x, rois=rois)[2:]
    for theirs, (h, w, scale, ratio, aligned) in zip(found, ALIGN):
        layer = RoIAlign((h, w), scale, ratio, aligned=aligned)
        want = layer(x, rois)
        assert want.abs().max() > 0.1
        np.testing.assert_allclose(theirs, want.numpy(), atol=1e-5)
        ours = roi_align(x, rois, h, w, scale, ratio, aligned)
        torch.testing.assert_close(ours, want)

"""Boxes that end at their last pixel, and points of moved anchors."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_overlaps

from mmps.testing import demo_search_samples

from small_pcnet import (
    FOUR_ANCHORS,
    SIZE,
    every_anchor,
    head_cfg,
    make_head,
    pyramid,
)

LAST = torch.tensor([0.0, 0, 1, 1])


def small_boxes(samples):
    """So that a pixel more or less counts."""
    for sample in samples:
        boxes = sample.query_instances.bboxes
        boxes[:, 2:] = boxes[:, :2] + (boxes[:, 2:] - boxes[:, :2]) / 3


@pytest.mark.parametrize('anchors', [1, 4])
def test_answers_equal_a_loop(anchors):
    kwargs = {} if anchors == 1 else dict(anchor_generator=FOUR_ANCHORS)
    head = make_head(inclusive_boxes=True, **kwargs).eval()
    _, samples = demo_search_samples((2, 1), SIZE, queries=(2, 1), scale=0.5)
    small_boxes(samples)
    x = pyramid()
    maps = [m.mean(1)[:1] for m in head(x)[2]]

    def embedding(own, box):
        (f,) = head.aggregation([own[None]], [box[None]], maps)
        return F.normalize(f[0], dim=0)

    (found, _) = head.predict(x, samples, rescale=True)
    every = sum(every_anchor(head, x), [])
    by_score = {round(score, 6): (box, own) for box, score, own in every}
    assert len(found) == 10
    for box, score, got in zip(found.bboxes, found.scores, found.embeddings):
        edges, own = by_score[round(score.item(), 6)]
        torch.testing.assert_close(box / 2, edges - LAST)
        torch.testing.assert_close(got, embedding(own, edges - LAST))
    queries = samples[0].query_instances
    for box, got in zip(queries.bboxes / 2, queries.embeddings):
        _, _, own = max(
            every,
            key=lambda a: bbox_overlaps((box + LAST)[None], a[0][None]).item(),
        )
        torch.testing.assert_close(got, embedding(own, box))


def test_averages_take_the_pixel_in():
    """A query's neighbours are those of its box with the last pixel."""
    head = make_head(inclusive_boxes=True, aggregation=None).eval()
    head.test_cfg.query_average_iou_thr = 0.3
    _, samples = demo_search_samples((3, 1), SIZE, queries=(3, 0))
    x = pyramid()
    head.predict(x, samples)
    every = sum(every_anchor(head, x), [])
    boxes = torch.stack([box for box, _, _ in every])
    owns = torch.stack([own for *_, own in every])
    queries = samples[0].query_instances
    moved = 0
    for box, got in zip(queries.bboxes, queries.embeddings):
        near = bbox_overlaps((box + LAST)[None], boxes)[0] >= 0.3
        assert near.any()
        moved += (near != (bbox_overlaps(box[None], boxes)[0] >= 0.3)).any()
        torch.testing.assert_close(got, F.normalize(owns[near].mean(0), dim=0))
    assert moved > 0


def test_what_lies_outside_is_the_last_pixel():
    """Of the frame, as the release cuts boxes."""
    priors = torch.tensor(
        [[170.0, 10, 190, 50], [-30, -50, -10, -20], [150, 100, 180, 140]]
    )
    height, width = SIZE
    cut = {
        True: [
            [width - 1, 10, width, 50],
            [0, 0, 1, 1],
            [150, 100, width, height],
        ],
        False: [
            [width, 10, width, 50],
            [0, 0, 0, 0],
            [150, 100, width, height],
        ],
    }
    for inclusive, want in cut.items():
        head = make_head(inclusive_boxes=inclusive)
        got = head.decode(priors, torch.zeros(3, 4), SIZE)
        assert got.tolist() == want


def test_training_means_the_same_boxes():
    """Anchors see annotated boxes a pixel longer, the other parts do not."""
    head = make_head(inclusive_boxes=True)
    plain = make_head()
    seen = {}
    head.aggregation.register_forward_pre_hook(
        lambda module, args: seen.update(boxes=torch.cat(list(args[1])))
    )
    head.loss_dist.register_forward_pre_hook(
        lambda module, args: seen.update(heights=args[1])
    )
    _, samples = demo_search_samples((3, 2), SIZE)
    _, longer = demo_search_samples((3, 2), SIZE)
    for sample in longer:
        sample.gt_instances.bboxes += LAST
    got = head.loss(pyramid(), samples)
    want = plain.loss(pyramid(), longer)
    for name in ('loss_cls', 'loss_bbox'):
        torch.testing.assert_close(got[name], want[name])
    annotated = torch.cat([s.gt_instances.bboxes for s in samples])
    unchanged = {tuple(box) for box in annotated.tolist()}
    assert len(seen['boxes']) > 5
    assert {tuple(box) for box in seen['boxes'].tolist()} <= unchanged
    boxes = seen['boxes']
    torch.testing.assert_close(seen['heights'], boxes[:, 3] - boxes[:, 1])


def test_gallery_of_annotated_boxes_gives_them_back():
    head = make_head(inclusive_boxes=True).eval()
    head.test_cfg.use_gt_boxes = True
    _, samples = demo_search_samples((3, 0), SIZE, queries=(3, 0))
    (found, _) = head.predict(pyramid(), samples)
    torch.testing.assert_close(found.bboxes, samples[0].gt_instances.bboxes)
    torch.testing.assert_close(
        found.embeddings, samples[0].query_instances.embeddings
    )


def test_few_candidates_are_not_averaged():
    head = make_head(aggregation=None).eval()
    head.test_cfg.nms_pre = 16  # of two levels
    _, samples = demo_search_samples((2, 1), SIZE)

    def embeddings(**test_cfg):
        head.test_cfg.update(test_cfg)
        return head.predict(pyramid(), samples)[0].embeddings

    plain = embeddings()
    averaged = embeddings(average_iou_thr=0.2)
    assert not torch.allclose(averaged, plain)
    torch.testing.assert_close(embeddings(average_skip=31), plain)
    few = embeddings(average_skip=28)
    assert not torch.allclose(few, plain)
    assert not torch.allclose(few, averaged)


def test_points_do_not_follow_the_anchors_centres():
    """They are sampled around the middle of a cell wherever boxes start."""
    points = []
    anchors = head_cfg().anchor_generator
    for place in (
        dict(center_offset=0.5),
        dict(center_offset=0.0),
        dict(center_offset=0.0, centers=[(7.0, 1.0), (3.0, 2.0)]),
    ):
        head = make_head(anchor_generator={**anchors, **place}).eval()
        head.test_cfg.return_points = True
        head.test_cfg.nms.iou_threshold = 1.0
        _, samples = demo_search_samples((2, 1), SIZE)
        (found, _) = head.predict(pyramid(), samples)
        points.append(found.points)
    torch.testing.assert_close(points[1], points[0])
    torch.testing.assert_close(points[2], points[0])

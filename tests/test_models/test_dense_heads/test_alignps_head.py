"""Tests of AlignPS' head against loops over locations."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmcv.ops import nms
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmps.registry import MODELS
from mmps.testing import demo_search_samples, training_loss

from tiny_methods import tiny_alignps

DIMS, SIZE = 16, (128, 160)
STRIDES = (8, 16, 32)


def head_cfg(**kwargs):
    cfg = tiny_alignps()
    return ConfigDict({**cfg.bbox_head, 'test_cfg': cfg.test_cfg, **kwargs})


def make_head(**kwargs):
    """With weights under which no two boxes fit alike, and known people."""
    torch.manual_seed(0)
    head = MODELS.build(head_cfg(**kwargs))
    head.init_weights()
    for layer in (head.conv_cls, head.conv_reg, head.conv_centerness):
        torch.nn.init.normal_(layer.weight, std=0.3)
    torch.nn.init.constant_(head.conv_reg.bias, 2.0)
    for module in (head.cls_convs[-1], head.reg_convs[-1]):
        torch.nn.init.normal_(module.conv.conv_offset.weight, std=0.1)
    generator = torch.Generator().manual_seed(3)
    prototypes = torch.randn(6, DIMS, generator=generator)
    prototypes = F.normalize(prototypes, dim=1)
    head.memory.update(prototypes, torch.arange(6), None, torch.ones(6))
    return head


def levels(count=3, num=2):
    generator = torch.Generator().manual_seed(1)
    return [
        torch.randn(num, DIMS, SIZE[0] // s, SIZE[1] // s, generator=generator)
        for s in STRIDES[:count]
    ]


def people():
    _, samples = demo_search_samples((3, 2), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, 4, -1])
    samples[1].gt_instances.person_ids = torch.tensor([4, 2])
    return samples


def positives_by_loop(maps, samples, ranges):
    """Every location in the middle of a person: its feature and the id."""
    found = []
    for image, sample in enumerate(samples):
        truth = sample.gt_instances
        for level, (stride, (_, largest)) in enumerate(zip(STRIDES, ranges)):
            if largest < 0:
                continue
            for row, col in np.ndindex(*maps[level].shape[2:]):
                x, y = (col + 0.5) * stride, (row + 0.5) * stride
                own = []
                for box, person in zip(truth.bboxes, truth.person_ids):
                    x1, y1, x2, y2 = box.tolist()
                    cx, cy, r = (x1 + x2) / 2, (y1 + y2) / 2, 1.5 * stride
                    inside = max(x1, cx - r) < x < min(x2, cx + r)
                    if inside and max(y1, cy - r) < y < min(y2, cy + r):
                        area = (x2 - x1) * (y2 - y1)
                        own.append((area, int(person), box))
                if own:
                    _, person, box = min(own, key=lambda one: one[0])
                    feature = maps[level][image, :, row, col]
                    found.append((feature, person, box, image, row, col))
    return found


EVERYWHERE = ((-1, 1e8), (-1, 1e8), (-1, 1e8))


@pytest.mark.parametrize('subtract_mean', [True, False])
@pytest.mark.parametrize('ranges', [None, EVERYWHERE])
def test_identity_losses_equal_a_loop(subtract_mean, ranges):
    kwargs = {} if ranges is None else dict(regress_ranges=ranges)
    head = make_head(subtract_mean=subtract_mean, **kwargs)
    x, samples = levels(), people()
    for level in x:
        level.requires_grad_()
    losses = head.loss(x, samples)
    memory = make_head().memory

    maps = list(x)
    if subtract_mean:
        for i in range(3 if ranges else 1):
            maps[i] = x[i] - x[i].flatten(2).mean(2)[..., None, None]
    found = positives_by_loop(maps, samples, ranges or head.regress_ranges)
    assert len(found) > 20
    unit = [F.normalize(one[0], dim=0) for one in found]
    ids = [one[1] for one in found]
    assert -1 in ids
    reid = 0.0
    for feature, person in zip(unit, ids):
        if person >= 0:
            logits = torch.cat(
                (memory.prototypes @ feature * 15, memory.queue @ feature * 10)
            )
            p = logits.softmax(0)[person]
            reid = reid - (1 - p) ** 2 * p.log()
    known = [(f, i) for f, i in zip(unit, ids) if i >= 0]
    known += [(memory.prototypes[i], i) for _, i in known]
    tri = 0.0
    for one, person in known:
        far = max((one - f).norm() for f, i in known if i == person)
        near = min((one - f).norm() for f, i in known if i != person)
        tri = tri + (0.3 + far - near).clamp(min=0)
    want = dict(loss_reid=reid / len(found), loss_tri=tri / len(known))
    for name, value in want.items():
        torch.testing.assert_close(losses[name], value, atol=1e-4, rtol=1e-4)
        got = torch.autograd.grad(losses[name], x[0], retain_graph=True)[0]
        grad = torch.autograd.grad(value, x[0], retain_graph=True)[0]
        torch.testing.assert_close(got, grad, atol=1e-4, rtol=1e-3)

    rows = memory.prototypes.clone()
    for feature, person in zip(unit, ids):
        if person >= 0:
            mixed = (rows[person] + feature.detach()) / 2
            rows[person] = mixed / mixed.norm()
    if ranges is None:
        # Several levels change the order of the samples of a person.
        torch.testing.assert_close(
            head.memory.prototypes, rows, atol=1e-5, rtol=1e-4
        )
    assert head.memory.queue_filled.any()


def test_mean_over_labelled_people():
    averages = {}
    for average in ('people', 'labelled'):
        loss = dict(tiny_alignps().bbox_head.loss_reid, mean_over=average)
        head = make_head(loss_reid=loss)
        averages[average] = head.loss(levels(), people())['loss_reid']
    found = positives_by_loop(levels(), people(), head.regress_ranges)
    labelled = sum(one[1] >= 0 for one in found)
    torch.testing.assert_close(
        averages['labelled'] * labelled, averages['people'] * len(found)
    )


def test_detection_losses_are_those_of_fcos():
    head = make_head()
    own = ('memory', 'loss_reid', 'loss_tri', 'test_cfg')
    cfg = {k: v for k, v in head_cfg().items() if k not in own}
    twin = MODELS.build(dict(cfg, type='mmdet.FCOSHead', num_classes=1))
    missing = twin.load_state_dict(head.state_dict(), strict=False)
    assert not missing.missing_keys
    x, samples = levels(), people()
    losses = head.loss(x, samples)
    first = x[0] - x[0].mean((2, 3), keepdim=True)
    want = twin.loss((first, *x[1:]), samples)
    assert sorted(want) == ['loss_bbox', 'loss_centerness', 'loss_cls']
    for name, value in want.items():
        torch.testing.assert_close(losses[name], value, atol=1e-5, rtol=1e-4)


def test_nobody_in_any_image():
    head = make_head(reid_norm_cfg=dict(type='BN1d'))
    _, samples = demo_search_samples((0, 0), SIZE)
    losses = head.loss(levels(), samples)
    total = training_loss(losses)
    assert total.isfinite()
    total.backward()
    assert losses['loss_reid'] == losses['loss_tri'] == 0
    unused = [n for n, p in head.named_parameters() if p.grad is None]
    # Offsets and scales of FCOS have a gradient, of zero, too.
    assert unused == []


@torch.no_grad()
def every_location(head, x, edges=(SIZE[1], SIZE[0])):
    """Of image 0: box, class score, centerness and feature, in a row."""
    scores, distances, feats, centernesses = head(x)
    found = []
    for i, stride in enumerate(STRIDES[: len(x)]):
        for row, col in np.ndindex(*scores[i].shape[2:]):
            point = torch.tensor([col + 0.5, row + 0.5]) * stride
            near, far = distances[i][0, :, row, col].split(2)
            box = torch.cat((point - near, point + far))
            if edges:
                box[0::2] = box[0::2].clamp(0, edges[0])
                box[1::2] = box[1::2].clamp(0, edges[1])
            found.append(
                (
                    box,
                    scores[i][0, 0, row, col].sigmoid(),
                    centernesses[i][0, 0, row, col].sigmoid(),
                    feats[i][0, 0, :, row, col],
                )
            )
    return [torch.stack(part) for part in zip(*found)]


def predict(head, x, queries):
    _, (sample,) = demo_search_samples((0,), SIZE, queries=(1,))
    sample.query_instances = InstanceData(bboxes=queries)
    with torch.no_grad():
        (found,) = head.predict(x, [sample])
    return found, sample.query_instances.embeddings


@pytest.mark.parametrize('score_thr', [0.0, 0.6])
@pytest.mark.parametrize('count', [1, 3])
def test_detections_and_queries_equal_a_loop(score_thr, count):
    head = make_head().eval()
    head.test_cfg.update(score_thr=score_thr, nms_pre=60)
    x = levels(count, 1)
    boxes, scores, factors, feats = every_location(head, x)
    sizes = [s[0, 0].numel() for s in x]
    kept = []
    for part in torch.arange(len(boxes)).split(sizes):
        best = part[(scores * factors)[part].argsort(descending=True)][:60]
        kept.append(best[scores[best] > score_thr])
    kept = torch.cat(kept)
    final = (scores * factors)[kept]
    _, chosen = nms(boxes[kept].contiguous(), final.contiguous(), 0.5)
    chosen = chosen[:10]
    queries = torch.tensor([[20.0, 20, 60, 120], [0, 0, 30, 40]])
    found, embeddings = predict(head, x, queries)
    assert len(found) > 1
    torch.testing.assert_close(found.bboxes, boxes[kept][chosen])
    torch.testing.assert_close(found.scores, final[chosen])
    units = F.normalize(feats[kept][chosen], dim=1)
    torch.testing.assert_close(found.embeddings, units)
    best = bbox_overlaps(queries, found.bboxes).argmax(1)
    torch.testing.assert_close(embeddings, units[best])

    head.test_cfg.query_from = 'locations'
    _, embeddings = predict(head, x, queries)
    best = bbox_overlaps(queries, boxes).argmax(1)
    want = F.normalize(feats[best], dim=1)
    torch.testing.assert_close(embeddings, want)


def test_queries_where_nobody_is_detected():
    head = make_head().eval()
    queries = torch.tensor([[20.0, 20, 60, 120]])
    head.test_cfg.update(score_thr=1.0)
    found, embeddings = predict(head, levels(1, 1), queries)
    assert len(found) == 0
    head.test_cfg.query_from = 'locations'
    _, want = predict(head, levels(1, 1), queries)
    torch.testing.assert_close(embeddings, want)


def test_annotated_boxes_in_the_place_of_detections():
    head = make_head().eval()
    head.test_cfg.use_gt_boxes = True
    samples = people()
    with torch.no_grad():
        found = head.predict(levels(), samples)
    assert [len(one) for one in found] == [3, 2]
    torch.testing.assert_close(found[0].bboxes, samples[0].gt_instances.bboxes)


def test_overlaps_of_people_reach_the_memory():
    head = make_head(
        memory=dict(
            num_ids=6,
            queue_size=4,
            update=dict(type='mmps.LocalizationAwareUpdate', low=0.1),
        )
    )
    given = []
    rule = head.memory.update_rule
    rule.register_forward_pre_hook(
        lambda _, args, kwargs: given.append(kwargs['ious']), with_kwargs=True
    )
    x, samples = levels(), people()
    head.loss(x, samples)
    maps = [x[0] - x[0].mean((2, 3), keepdim=True), *x[1:]]
    found = positives_by_loop(maps, samples, head.regress_ranges)
    head.eval()
    want = []
    for _, _, box, image, row, col in found:
        boxes, *_ = every_location(head, [x[0][image][None]], edges=None)
        own = boxes[row * x[0].size(3) + col]
        want.append(bbox_overlaps(own[None], box[None])[0, 0])
    want = torch.stack(want)
    assert want.unique().numel() > 20
    torch.testing.assert_close(given[0], want)


@pytest.mark.parametrize(
    ('options', 'fault'),
    [
        (dict(query_from='boxes'), "query_from: expected 'locations'"),
        (dict(return_points=True), 'AlignPSHead samples no points'),
    ],
)
def test_refuses_options(options, fault):
    head = make_head().eval()
    head.test_cfg.update(options)
    with pytest.raises(ValueError, match=fault):
        predict(head, levels(1, 1), torch.tensor([[20.0, 20, 60, 120]]))

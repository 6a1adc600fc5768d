"""Tests of PCNet's head against loops over anchors."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData

from mmps.registry import MODELS, TASK_UTILS
from mmps.testing import (
    HALF_DTYPES,
    DispatchedOperators,
    demo_search_samples,
)

from small_pcnet import (
    DIMS,
    FOUR_ANCHORS,
    SIZE,
    every_anchor,
    head_cfg,
    make_head,
    pyramid,
)
from tiny_methods import tiny_pcnet


def positives_by_loop(head, outs, samples):
    """Every positive: image, level, row, column, anchor, box, id."""
    _, _, feats, offsets = outs
    assigner = TASK_UTILS.build(tiny_pcnet().train_cfg.assigner)
    priors = head.prior_generator.grid_priors(
        [f.shape[-2:] for f in feats], device='cpu'
    )
    per_cell = feats[0].size(1)
    found = []
    for i, sample in enumerate(samples):
        gt = sample.gt_instances
        assigned = assigner.assign(
            InstanceData(priors=torch.cat(priors)), gt
        ).gt_inds
        n = 0
        for level, prior in enumerate(priors):
            width = feats[level].size(-1)
            for k in range(len(prior)):
                cell, anchor = divmod(k, per_cell)
                row, col = divmod(cell, width)
                match = int(assigned[n]) - 1
                n += 1
                if match >= 0:
                    found.append(
                        dict(
                            image=i,
                            level=level,
                            own=feats[level][i, anchor, :, row, col],
                            offset=offsets[level][i, anchor, :, row, col],
                            box=gt.bboxes[match],
                            person=int(gt.person_ids[match]),
                        )
                    )
    return found


@pytest.mark.parametrize('anchors', [1, 4])
def test_losses_equal_a_loop_over_anchors(anchors):
    kwargs = {} if anchors == 1 else dict(anchor_generator=FOUR_ANCHORS)
    head = make_head(**kwargs)
    _, samples = demo_search_samples((3, 2), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, 4, -1])
    samples[1].gt_instances.person_ids = torch.tensor([4, 2])
    x = pyramid()
    outs = head(x)
    positives = positives_by_loop(head, outs, samples)
    assert len(positives) > 5
    table = torch.cat((head.memory.prototypes, head.memory.queue)).clone()
    losses = head.loss(x, samples)

    maps = [f.mean(1) for f in outs[2]]
    embeddings, owns = [], []
    for p in positives:
        one = [m[p['image']][None] for m in maps]
        (f,) = head.aggregation([p['own'][None]], [p['box'][None]], one)
        embeddings.append(F.normalize(f[0], dim=0))
        owns.append(F.normalize(p['own'], dim=0))

    reid = tri = dist = 0.0
    for i, p in enumerate(positives):
        if p['person'] >= 0:
            logits = table @ embeddings[i] * 30
            reid += torch.logsumexp(logits, 0) - logits[p['person']]
            rivals = [
                (embeddings[i] - owns[j]).square().sum()
                for j, q in enumerate(positives)
                if q['person'] >= 0 and q['person'] != p['person']
            ]
            gap = (embeddings[i] - owns[i]).square().sum()
            tri += (0.5 + gap - min(rivals)).clamp(min=0)
        stride = (8, 16)[p['level']]
        height = p['box'][3] - p['box'][1]
        mass = [
            sum(p['offset'][2 * k] for k in range(3 * m, 3 * m + 3)) / 3 + m
            for m in range(3)
        ]
        for m in range(2):
            step = (mass[m + 1] - mass[m]) * stride
            dist += (step - height / 3) ** 2 / height
    for name, want in dict(reid=reid, tri=tri, dist=dist).items():
        torch.testing.assert_close(
            losses[f'loss_{name}'],
            want / len(positives),
            atol=1e-4,
            rtol=1e-4,
            msg=name,
        )


def test_detection_losses_are_retinanets():
    head = make_head()
    _, samples = demo_search_samples((3, 2), SIZE)
    x = pyramid()
    losses = head.loss(x, samples)
    twin = MODELS.build(
        dict(
            type='mmdet.RetinaHead',
            num_classes=1,
            in_channels=8,
            **{
                key: head_cfg()[key]
                for key in (
                    'feat_channels',
                    'stacked_convs',
                    'anchor_generator',
                    'bbox_coder',
                    'loss_cls',
                    'loss_bbox',
                    'train_cfg',
                )
            },
        )
    )
    scores, deltas, *_ = head(x)
    want = twin.loss_by_feat(
        scores,
        deltas,
        [s.gt_instances for s in samples],
        [s.metainfo for s in samples],
    )
    for name in ('loss_cls', 'loss_bbox'):
        torch.testing.assert_close(losses[name], want[name])


def test_padded_images_keep_positives_on_their_boxes():
    head = make_head()
    _, samples = demo_search_samples((2, 2), (128, 96))
    x = pyramid()
    for sample in samples:
        sample.set_metainfo(dict(pad_shape=(128, 96)))
    torch.manual_seed(0)
    anchors, valid = head.get_anchors(
        [f.shape[-2:] for f in x], [s.metainfo for s in samples], 'cpu'
    )
    labels, *_, sampled = head.get_targets(
        anchors,
        valid,
        [s.gt_instances for s in samples],
        [s.metainfo for s in samples],
        return_sampling_results=True,
    )
    images, locations = head.positive_locations(labels, sampled)
    flat = torch.cat(anchors[0])
    for i, sample in enumerate(samples):
        picked = locations[images == i]
        boxes = sample.gt_instances.bboxes[sampled[i].pos_assigned_gt_inds]
        overlap = bbox_overlaps(flat[picked], boxes, is_aligned=True)
        # A wrong offset would pair anchors with boxes elsewhere.
        best = bbox_overlaps(flat, sample.gt_instances.bboxes).max(0).values
        assert len(picked) > 0
        assert overlap.min() >= min(0.5, best.min())


def test_batch_without_people_trains_every_parameter():
    head = make_head(reid_norm_cfg=dict(type='BN1d'))
    _, samples = demo_search_samples((0, 0), SIZE)
    losses = head.loss(pyramid(), samples)
    assert losses['loss_reid'] == losses['loss_tri'] == 0
    total = sum(sum(v) if isinstance(v, list) else v for v in losses.values())
    total.backward()
    missing = [n for n, p in head.named_parameters() if p.grad is None]
    assert missing == []
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_memory_is_updated_after_it_was_read():
    head = make_head()
    _, samples = demo_search_samples((2, 1), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, -1])
    samples[1].gt_instances.person_ids = torch.tensor([3])
    before = head.memory.prototypes.clone()
    losses = head.loss(pyramid(), samples)
    changed = (head.memory.prototypes != before).any(1).nonzero().squeeze(1)
    assert changed.tolist() == [0, 3]
    assert head.memory.queue_filled.any()
    sum(v for v in (losses['loss_reid'], losses['loss_tri'])).backward()


def test_average_over_labelled_positives():
    _, samples = demo_search_samples((3, 2), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, -1, -1])
    samples[1].gt_instances.person_ids = torch.tensor([-1, 3])
    losses, heads = {}, {}
    for choice in ('people', 'labelled'):
        loss = dict(type='mmps.OIMLoss', mean_over=choice)
        heads[choice] = head = make_head(loss_reid=loss)
        losses[choice] = head.loss(pyramid(), samples)['loss_reid']
    positives = positives_by_loop(head, head(pyramid()), samples)
    labelled = sum(p['person'] >= 0 for p in positives)
    assert 0 < labelled < len(positives)
    torch.testing.assert_close(
        losses['labelled'] * labelled, losses['people'] * len(positives)
    )


def iou(one, two):
    return float(bbox_overlaps(one[None], two[None]))


@pytest.mark.parametrize('anchors', [1, 4])
@pytest.mark.parametrize('scale', [1.0, 0.5])
def test_query_embeddings_equal_a_loop(anchors, scale):
    kwargs = {} if anchors == 1 else dict(anchor_generator=FOUR_ANCHORS)
    head = make_head(**kwargs).eval()
    _, samples = demo_search_samples((3, 2), SIZE, queries=(2, 0), scale=scale)
    x = pyramid()
    feats = head(x)[2]
    head.predict(x, samples)
    assert samples[1].query_instances.embeddings.shape == (0, DIMS)
    anchors = sum(every_anchor(head, x), [])
    for q in range(2):
        box = samples[0].query_instances.bboxes[q] * scale
        *_, own = max(anchors, key=lambda a: iou(box, a[0]))
        (f,) = head.aggregation(
            [own[None]], [box[None]], [m.mean(1)[:1] for m in feats]
        )
        torch.testing.assert_close(
            samples[0].query_instances.embeddings[q],
            F.normalize(f[0], dim=0),
        )


def test_detections_carry_unit_embeddings_of_their_location():
    head = make_head(aggregation=None).eval()
    _, samples = demo_search_samples((2, 1), SIZE, scale=0.5)
    x = pyramid()
    results = head.predict(x, samples, rescale=True)
    by_score = {
        round(score, 6): (box * 2, own)
        for box, score, own in sum(every_anchor(head, x), [])
    }
    assert len(results[0]) == 10
    for box, score, embedding in zip(
        results[0].bboxes, results[0].scores, results[0].embeddings
    ):
        want_box, own = by_score[round(score.item(), 6)]
        torch.testing.assert_close(box, want_box, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(embedding, F.normalize(own, dim=0))
    assert results[0].scores.diff().max() <= 0


@pytest.mark.parametrize('thr', [0.3, 0.6])
def test_averages_over_neighbours_equal_a_loop(thr):
    """Detections over what NMS saw, query boxes over every anchor."""
    head = make_head(aggregation=None).eval()
    head.test_cfg.nms_pre = 60
    _, samples = demo_search_samples((2, 1), SIZE, queries=(2, 0))
    x = pyramid()
    plain = head.predict(x, samples)[0]
    head.test_cfg.average_iou_thr = thr
    head.test_cfg.query_average_iou_thr = thr
    found = head.predict(x, samples)[0]
    torch.testing.assert_close(found.bboxes, plain.bboxes)

    def mean_near(box, anchors):
        near = [own for b, _, own in anchors if iou(box, b) >= thr]
        near = near or [max(anchors, key=lambda a: iou(box, a[0]))[2]]
        return F.normalize(sum(near) / len(near), dim=0), len(near)

    levels = every_anchor(head, x)
    seen = [
        anchor
        for level in levels
        for anchor in sorted(level, key=lambda a: -a[1])[:60]
    ]
    assert len(seen) < sum(map(len, levels))
    counts = []
    for box, embedding in zip(found.bboxes, found.embeddings):
        want, count = mean_near(box, seen)
        counts.append(count)
        torch.testing.assert_close(embedding, want)
    assert max(counts) > 1
    queries = samples[0].query_instances
    for box, embedding in zip(queries.bboxes, queries.embeddings):
        want, _ = mean_near(box, sum(levels, []))
        torch.testing.assert_close(embedding, want)


def test_gt_box_gallery_equals_queries():
    head = make_head().eval()
    head.test_cfg.use_gt_boxes = True
    _, samples = demo_search_samples((3, 0), SIZE, queries=(3, 0))
    results = head.predict(pyramid(), samples)
    torch.testing.assert_close(
        results[0].embeddings, samples[0].query_instances.embeddings
    )
    assert results[0].scores.tolist() == [1, 1, 1]
    assert len(results[1]) == 0


def test_flipped_image_flips_queries():
    head = make_head().eval()
    _, plain = demo_search_samples((2, 1), SIZE, queries=(2, 1))
    _, flipped = demo_search_samples((2, 1), SIZE, queries=(2, 1))
    for one, two in zip(plain, flipped):
        two.set_metainfo(dict(flip=True, flip_direction='horizontal'))
        boxes = one.query_instances.bboxes.clone()
        boxes[:, [0, 2]] = SIZE[1] - boxes[:, [2, 0]]
        two.query_instances.bboxes = boxes
    head.predict(pyramid(), plain)
    head.predict(pyramid(), flipped)
    torch.testing.assert_close(
        plain[0].query_instances.embeddings,
        flipped[0].query_instances.embeddings,
    )


def test_no_detection_is_no_error():
    head = make_head().eval()
    head.test_cfg.score_thr = 1.0
    _, samples = demo_search_samples((1, 1), SIZE, queries=(1, 0))
    results = head.predict(pyramid(), samples)
    assert [r.embeddings.shape for r in results] == [(0, DIMS)] * 2
    assert samples[0].query_instances.embeddings.shape == (1, DIMS)


@pytest.mark.parametrize(
    'options',
    [
        dict(det_from='neck'),
        dict(det_from='neck', reid_from='cls'),
        dict(det_from='neck', reid_from='reg'),
        dict(shared_tower=True),
        dict(stacked_convs=0),
        dict(point_pooling=dict(type='mmps.ConvPointPooling'), loss_dist=None),
        dict(
            det_from='neck',
            point_pooling=dict(type='mmps.IdentityPointPooling'),
            aggregation=dict(type='mmps.RoIAlignAggregation'),
            loss_dist=None,
        ),
        dict(aggregation=None, loss_tri=None),
        dict(reid_norm_cfg=dict(type='BN1d')),
        dict(anchor_generator=FOUR_ANCHORS, det_from='neck'),
    ],
    ids=lambda options: '-'.join(map(str, options)),
)
def test_variants_train_and_predict(options):
    head = make_head(**options)
    _, samples = demo_search_samples((3, 2), SIZE, queries=(1, 1))
    losses = head.loss(pyramid(), samples)
    total = sum(sum(v) if isinstance(v, list) else v for v in losses.values())
    total.backward()
    without = [n for n, p in head.named_parameters() if p.grad is None]
    assert without == []
    results = head.eval().predict(pyramid(), samples)
    norms = results[0].embeddings.norm(dim=1)
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_what_reads_what():
    """The re-id maps follow the map that they are said to be read from."""
    x = pyramid()
    for det_from, reid_from, moved in (
        ('reid', 'neck', False),
        ('neck', 'neck', False),
        ('neck', 'cls', True),
    ):
        head = make_head(det_from=det_from, reid_from=reid_from)
        scores, _, feats, _ = head(x)
        head.cls_convs[0].conv.weight.data.mul_(2)
        _, _, changed, _ = head(x)
        assert torch.allclose(feats[0], changed[0]) is not moved
        conv = head.point_pooling.point_convs[0]
        conv.weight.data.mul_(2)
        head.cls_convs[0].conv.weight.data.div_(2)
        rescored, *_ = head(x)
        follows = not torch.allclose(scores[0], rescored[0])
        assert follows is (det_from == 'reid')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(reid_from='backbone'), "reid_from must be one of .* 'backbone'"),
        (dict(det_from='cls'), "det_from must be one of .* 'cls'"),
        (dict(reid_from='cls'), "set det_from='neck'"),
        (
            dict(point_pooling=dict(type='mmps.ConvPointPooling')),
            'ConvPointPooling has a fixed grid',
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_head(**options)


def test_autocast_step_is_finite_and_close():
    plain, amp = make_head(), make_head()
    _, samples = demo_search_samples((3, 2), SIZE)
    want = plain.loss(pyramid(), samples)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        got = amp.loss(pyramid(), samples)
    for name in ('loss_reid', 'loss_dist', 'loss_tri'):
        assert got[name].dtype == torch.float32
        torch.testing.assert_close(got[name], want[name], atol=0.1, rtol=0.1)
    assert amp.memory.prototypes.dtype == torch.float32


def test_one_positive_passes_batch_norm():
    head = make_head(reid_norm_cfg=dict(type='BN1d'))
    x = torch.randn(1, DIMS)
    unit = head._unit(x, head.reid_norm)
    assert unit.isfinite().all()
    torch.testing.assert_close(unit.norm(), torch.tensor(1.0))


@pytest.mark.parametrize('dtype', HALF_DTYPES)
def test_losses_get_scores_and_deltas_in_fp32(dtype):
    """mmcv's focal loss takes no bfloat16 and overflows in float16."""
    head = make_head()
    given = []
    for loss in (head.loss_cls, head.loss_bbox):
        loss.register_forward_pre_hook(
            lambda module, args: given.append((type(module), args[0].dtype))
        )
    _, samples = demo_search_samples((2, 1), SIZE)
    with torch.autocast('cpu', dtype=dtype):
        outs = head(pyramid())
        head.loss(pyramid(), samples)
    assert len({kind for kind, _ in given}) == 2
    assert {dtype for _, dtype in given} == {torch.float32}
    assert {t.dtype for maps in outs[:2] for t in maps} == {torch.float32}


@pytest.mark.parametrize('people', [(2, 3), (0, 2), (0, 0)])
def test_positives_are_found_without_waiting(people):
    head = make_head()
    _, samples = demo_search_samples(people, SIZE)
    truth = [s.gt_instances for s in samples]
    metas = [s.metainfo for s in samples]
    x = pyramid()
    anchors, valid = head.get_anchors([f.shape[-2:] for f in x], metas, 'cpu')
    labels, *_, sampled = head.get_targets(
        anchors, valid, truth, metas, return_sampling_results=True
    )
    with DispatchedOperators() as operators:
        image, anchor = head.positive_locations(labels, sampled)
        head._anchor_geometry([f[:, None] for f in x])
    assert operators.waits == 0
    want = (torch.cat(labels, 1) == 0).nonzero()
    assert torch.equal(torch.stack((image, anchor), 1), want)


def test_points_of_detections_equal_a_loop():
    """Location, kernel tap and offset, in pixels of the original image."""
    head = make_head().eval()
    head.test_cfg.return_points = True
    _, samples = demo_search_samples((2, 1), SIZE, scale=0.5)
    x = pyramid()
    scores, _, _, offsets = head(x)
    wanted = {}
    for stride, score, offset in zip((8, 16), scores, offsets):
        for row in range(score.size(2)):
            for col in range(score.size(3)):
                shift = offset[0, 0, :, row, col].reshape(9, 2)
                taps = [
                    (
                        (col + 0.5 + k % 3 - 1 + float(dx)) * stride,
                        (row + 0.5 + k // 3 - 1 + float(dy)) * stride,
                    )
                    for k, (dy, dx) in enumerate(shift)
                ]
                key = round(score[0, 0, row, col].sigmoid().item(), 6)
                wanted[key] = torch.tensor(taps) / 0.5
    found = head.predict(x, samples, rescale=True)[0]
    assert len(found) == 10
    for score, points in zip(found.scores, found.points):
        want = wanted[round(score.item(), 6)]
        torch.testing.assert_close(points, want, atol=1e-3, rtol=1e-4)


def test_points_need_a_pooling_that_samples_them():
    head = make_head(
        point_pooling=dict(type='mmps.ConvPointPooling'), loss_dist=None
    ).eval()
    head.test_cfg.return_points = True
    _, samples = demo_search_samples((1, 0), SIZE)
    with pytest.raises(ValueError, match='got ConvPointPooling'):
        head.predict(pyramid(), samples)


def test_a_head_in_float64_with_norms():
    head = make_head(reid_norm_cfg=dict(type='BN1d')).double()
    x = torch.randn(5, DIMS, dtype=torch.float64)
    found = head._unit(x, head.reid_norm)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, F.normalize(head.reid_norm(x), dim=1))

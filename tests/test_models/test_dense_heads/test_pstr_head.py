"""Tests of PSTR's head against loops over images, layers and maps."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import bbox_overlaps
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from mmps.testing import build, demo_search_samples, training_loss

from tiny_methods import tiny_pstr

SIZE = (128, 160)
LAYERS, QUERIES, MAPS, DIMS = 2, 8, 3, 16


def make(test_cfg=None, **head):
    """A model whose boxes differ, and which knows its people."""
    torch.manual_seed(0)
    cfg = tiny_pstr()
    for loss in (cfg.bbox_head.loss_reid, cfg.bbox_head.loss_tri):
        loss.loss_weight = 1.0
    cfg.bbox_head.update(head)
    cfg.test_cfg.update(test_cfg or {})
    model = build(ConfigDict(cfg))
    reg = model.bbox_head.reg_branches[0][-1]
    torch.nn.init.normal_(reg.weight, std=0.5)
    for attention in model.bbox_head.part_attentions:
        torch.nn.init.normal_(attention.sampling_offsets.weight, std=0.2)
    generator = torch.Generator().manual_seed(3)
    for memory in model.bbox_head.memories:
        rows = torch.randn(6, DIMS, generator=generator)
        memory.update(
            F.normalize(rows, dim=1), torch.arange(6), None, torch.ones(6)
        )
    return model


def people(**kwargs):
    inputs, samples = demo_search_samples((3, 2), SIZE, **kwargs)
    samples[0].gt_instances.person_ids = torch.tensor([0, 4, -1])
    samples[1].gt_instances.person_ids = torch.tensor([4, 2])
    # The second image fills its part of the batch only.
    samples[1].set_metainfo(dict(img_shape=(128, 130)))
    return inputs, samples


def transformed(model, inputs, samples):
    found = model.forward_transformer(model.extract_feat(inputs), samples)
    return {k: v for k, v in found.items() if not k.startswith('enc_')}


def pixels(boxes, sample):
    height, width = sample.img_shape
    cx, cy, w, h = boxes.unbind(-1)
    x = ((cx - w / 2) * width, (cx + w / 2) * width)
    y = ((cy - h / 2) * height, (cy + h / 2) * height)
    return torch.stack((x[0], y[0], x[1], y[1]), -1)


def feature(head, state, box, level, image, found):
    """Part attention of one query on one image's map."""
    ratio = found['valid_ratios'][image, 0].repeat(2)
    mask = found['mask']
    x = state[None, None]
    for attention in head.part_attentions:
        x = attention(
            x,
            level[image][None],
            (box * ratio)[None, None],
            None if mask is None else mask[image][None],
        )
    return x[0, 0]


def features_by_loop(head, found, boxes):
    """(L, N, S, Q, C), without the mean over the queries."""
    states = found['hidden_states']
    rows = [
        feature(head, states[i, n, q], boxes[i, n, q], level, n, found)
        for i in range(len(states))
        for n in range(states.size(1))
        for level in found['maps']
        for q in range(QUERIES)
    ]
    x = torch.stack(rows).view(len(states), -1, MAPS, QUERIES, DIMS)
    return x - x.mean(3, keepdim=True)


def matched(model, scores, boxes, samples):
    """Per layer (image, query, index of the person in the image)."""
    assigner = TASK_UTILS.build(model.train_cfg.assigner)
    found = []
    for layer in range(LAYERS):
        rows = []
        for n, sample in enumerate(samples):
            result = assigner.assign(
                InstanceData(
                    scores=scores[layer, n],
                    bboxes=pixels(boxes[layer, n], sample),
                ),
                sample.gt_instances,
                sample.metainfo,
            )
            for q, person in enumerate(result.gt_inds.tolist()):
                if person:
                    rows.append((n, q, person - 1))
        found.append(rows)
    return found


def test_identity_losses_and_memories_equal_a_loop():
    model = make()
    model.train()
    inputs, samples = people()
    head = model.bbox_head
    found = transformed(model, inputs, samples)
    with torch.no_grad():
        scores, boxes, _ = head(**found)
        x = features_by_loop(head, found, boxes)
    matches = matched(model, scores, boxes, samples)
    assert [len(rows) for rows in matches] == [5, 5]
    before = [
        (memory.prototypes.clone(), memory.queue.clone())
        for memory in head.memories
    ]
    losses = head.loss(
        **found,
        enc_outputs_class=None,
        enc_outputs_coord=None,
        batch_data_samples=samples,
    )
    for number, (prototypes, queue) in enumerate(before):
        moved, queued = prototypes.clone(), []
        for layer, rows in enumerate(matches):
            unit = [
                F.normalize(x[layer, n, number, q], dim=0) for n, q, _ in rows
            ]
            ids = [
                int(samples[n].gt_instances.person_ids[p]) for n, _, p in rows
            ]
            total = 0.0
            for one, person in zip(unit, ids):
                if person < 0:
                    queued.append(one)
                    continue
                logits = torch.cat((prototypes @ one * 15, queue @ one * 10))
                p = logits.softmax(0)[person]
                total = total - (1 - p) ** 2 * p.log()
                row = 0.5 * moved[person] + 0.5 * one
                moved[person] = F.normalize(row, dim=0)
            name = '' if layer == LAYERS - 1 else f'd{layer}.'
            labelled = sum(person >= 0 for person in ids)
            torch.testing.assert_close(
                losses[f'{name}loss_reid_{number}'], total / labelled
            )
            known = [(f, i) for f, i in zip(unit, ids) if i >= 0]
            known += [(prototypes[i], i) for _, i in known]
            tri = 0.0
            for one, person in known:
                far = max((one - f).norm() for f, i in known if i == person)
                near = min((one - f).norm() for f, i in known if i != person)
                tri = tri + (far - near + 0.3).clamp(min=0)
            torch.testing.assert_close(
                losses[f'{name}loss_tri_{number}'], tri / len(known)
            )
        memory = head.memories[number]
        torch.testing.assert_close(memory.prototypes, moved)
        torch.testing.assert_close(
            memory.queue[: len(queued)], torch.stack(queued)
        )


def test_only_the_first_maps_features_reach_the_transformer():
    for number in range(MAPS):
        model = make()
        model.train()
        inputs, samples = people()
        losses = model.loss(inputs, samples)
        losses[f'loss_reid_{number}'].backward()
        grad = model.query_embedding.weight.grad
        assert (grad is not None and bool(grad.any())) == (number == 0)
        lateral = model.neck.lateral_convs[2 - number].conv.weight.grad
        assert lateral.any()
        # Boxes are where it looks, not what it learns.
        reg = model.bbox_head.reg_branches[0][-1].weight.grad
        assert reg is None or not reg.any()


def test_a_step_without_people_has_losses_in_the_graph():
    model = make()
    model.train()
    inputs, samples = demo_search_samples((0, 0), SIZE)
    losses = model.loss(inputs, samples)
    names = [name for name in losses if 'reid' in name or 'tri' in name]
    assert len(names) == 2 * LAYERS * MAPS
    assert all(losses[name] == 0 for name in names)
    training_loss(losses).backward()
    missing = [
        name
        for name, one in model.named_parameters()
        if one.requires_grad and one.grad is None
    ]
    assert missing == []


def test_overlaps_reach_the_memory():
    rule = dict(type='mmps.LocalizationAwareUpdate')
    model = make(memory=dict(num_ids=6, queue_size=4, update=rule))
    model.train()
    inputs, samples = people()
    head = model.bbox_head
    with torch.no_grad():
        found = transformed(model, inputs, samples)
        scores, boxes, _ = head(**found)
    seen = []
    for memory in head.memories:
        memory.update = lambda *args: seen.append(args[3])
    model.loss(inputs, samples)
    want = [
        bbox_overlaps(
            pixels(boxes[layer, n, q], samples[n])[None],
            samples[n].gt_instances.bboxes[p][None],
        )
        for layer, rows in enumerate(matched(model, scores, boxes, samples))
        for n, q, p in rows
    ]
    want = torch.cat(want).flatten()
    assert want.max() > 0.05
    for start in range(0, MAPS * LAYERS, LAYERS):
        ious = torch.cat(seen[start : start + LAYERS])
        torch.testing.assert_close(ious, want)


def predictions(model, scale=0.5):
    """Samples with results, and the same by loops over all queries."""
    model.eval()
    inputs, samples = people(queries=(2, 1), scale=scale)
    head = model.bbox_head
    with torch.no_grad():
        found = transformed(model, inputs, samples)
        scores, boxes, _ = head(**found)
        x = features_by_loop(head, found, boxes)[-1]
        weighted = x * torch.tensor(head.map_weights)[:, None, None]
        vectors = weighted.transpose(1, 2).flatten(2)
        samples = model.predict(inputs, samples)
    decoded = torch.stack(
        [
            pixels(boxes[-1, n], sample).clamp(min=0)
            for n, sample in enumerate(samples)
        ]
    )
    for n, sample in enumerate(samples):
        height, width = sample.img_shape
        decoded[n, :, 0::2] = decoded[n, :, 0::2].clamp(max=width)
        decoded[n, :, 1::2] = decoded[n, :, 1::2].clamp(max=height)
    return (
        samples,
        scores[-1, ..., 0].sigmoid(),
        decoded,
        F.normalize(vectors, dim=2),
        (found, boxes[-1]),
    )


def test_predictions_equal_a_loop():
    model = make(test_cfg=dict(max_per_img=5), map_weights=(0.5, 1.0, 2.0))
    samples, scores, boxes, vectors, _ = predictions(model)
    for n, sample in enumerate(samples):
        order = scores[n].argsort(descending=True)[:5]
        found = sample.pred_instances
        torch.testing.assert_close(found.scores, scores[n][order])
        torch.testing.assert_close(found.bboxes, 2 * boxes[n][order])
        torch.testing.assert_close(found.embeddings, vectors[n][order])
        assert not found.labels.any()
        queries = sample.query_instances
        best = bbox_overlaps(queries.bboxes / 2, boxes[n]).argmax(1)
        torch.testing.assert_close(queries.embeddings, vectors[n][best])


def test_scores_below_the_threshold_are_left_out():
    samples, scores, *_ = predictions(make())
    least = scores[0].median().item()
    chosen, *_ = predictions(make(test_cfg=dict(score_thr=least)))
    for n, sample in enumerate(chosen):
        kept = int((scores[n] > least).sum())
        assert len(sample.pred_instances) == kept < QUERIES
        torch.testing.assert_close(
            sample.pred_instances.embeddings,
            samples[n].pred_instances.embeddings[:kept],
        )


def test_queries_and_annotated_boxes_by_sampling_in_them():
    model = make(test_cfg=dict(query_from='boxes', use_gt_boxes=True))
    samples, _, boxes, _, (found, predicted) = predictions(model, scale=1.0)
    head = model.bbox_head
    with torch.no_grad():
        for n, sample in enumerate(samples):
            height, width = sample.img_shape
            truth = sample.gt_instances.bboxes
            states = found['hidden_states'][-1, n]
            rows = []
            for box in truth:
                q = bbox_overlaps(box[None], boxes[n]).argmax()
                x1, y1, x2, y2 = box
                share = torch.stack(
                    (
                        (x1 + x2) / 2 / width,
                        (y1 + y2) / 2 / height,
                        (x2 - x1) / width,
                        (y2 - y1) / height,
                    )
                )
                parts = []
                for level in found['maps']:
                    own = feature(head, states[q], share, level, n, found)
                    others = [
                        feature(head, s, b, level, n, found)
                        for s, b in zip(states, predicted[n])
                    ]
                    parts.append(own - torch.stack(others).mean(0))
                rows.append(F.normalize(torch.cat(parts), dim=0))
            want = torch.stack(rows)
            result = sample.pred_instances
            torch.testing.assert_close(result.embeddings, want)
            torch.testing.assert_close(result.bboxes, truth)
            queries = sample.query_instances.embeddings
            torch.testing.assert_close(queries, want[: len(queries)])


def test_an_image_without_queries():
    model = make(test_cfg=dict(query_from='boxes'))
    model.eval()
    inputs, samples = people(queries=(0, 1))
    with torch.no_grad():
        samples = model.predict(inputs, samples)
    shapes = [tuple(s.query_instances.embeddings.shape) for s in samples]
    assert shapes == [(0, MAPS * DIMS), (1, MAPS * DIMS)]


def test_unknown_source_of_queries():
    model = make(test_cfg=dict(query_from='points'))
    with pytest.raises(ValueError, match="'boxes' or 'detections', got 'poi"):
        predictions(model)


@pytest.mark.parametrize('num', [2, 4])
def test_weights_for_other_maps_than_the_necks(num):
    model = make(map_weights=(1.0,) * num)
    message = f'map_weights has {num} factors, but the neck gives {MAPS} maps'
    with pytest.raises(ValueError, match=message):
        model.loss(*people())

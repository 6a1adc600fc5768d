"""Tests of RoI heads that embed people in several stages."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox2roi
from torch import nn

from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS
from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from tiny_methods import TINY_METHODS, shallow_branch, shallow_neck

SIZE = (128, 160)
NORM = dict(type='mmps.NormClassifier')


def config(num_reid_stages=2, num_stages=3, **test_cfg):
    model = tiny_two_stage(num_stages, num_reid_stages=num_reid_stages)
    for head in model.roi_head.bbox_head[-num_reid_stages:]:
        head.classifier = NORM
    model.test_cfg.rcnn.update(test_cfg)
    return model


def make(*args, **test_cfg):
    """A model whose outputs differ from RoI to RoI, without batch norm."""
    torch.manual_seed(0)
    model = build(config(*args, **test_cfg)).train()
    for head in model.roi_head.bbox_head:
        for layer in (head.fc_vertical, head.fc_horizontal):
            nn.init.normal_(layer.weight, std=0.05)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return model


def rois_of(model, inputs, samples):
    """Levels of the neck, and RoIs and boxes of the last stage in a test."""
    head = model.roi_head
    x = model.extract_feat(inputs)
    found = model.rpn_head.predict(x, samples, rescale=False)
    rois = bbox2roi([one.bboxes for one in found])
    for stage in range(head.num_stages - 1):
        deltas = head.run_stage(stage, x, rois)[1]
        boxes = head.bbox_head[stage].bbox_coder.decode(
            rois[:, 1:], deltas, max_shape=SIZE
        )
        rois = torch.cat((rois[:, :1], boxes), 1)
    return x, rois


def test_every_stage_has_losses_and_a_memory_of_its_own():
    model = make()
    head = model.roi_head
    sampled = []
    real = head._sample
    head._sample = lambda *args: sampled.append(real(*args)) or sampled[-1]
    inputs, samples = demo_search_samples((3, 2), SIZE)
    generator = torch.Generator().manual_seed(1)
    tables = {}
    for stage in (1, 2):
        memory = head.reid_head_of(stage).memory
        rows = torch.randn(6, 16, generator=generator)
        memory.update(F.normalize(rows, dim=1), torch.arange(6))
        tables[stage] = torch.cat((memory.prototypes, memory.queue)).clone()
    losses = model.loss(inputs, samples)
    assert 's0.loss_reid' not in losses
    assert 'loss_reid' not in losses
    x = model.extract_feat(inputs)
    for stage in (1, 2):
        total, labelled = 0, 0
        people = set()
        for image, found in enumerate(sampled[stage]):
            gt = samples[image].gt_instances
            for prior, person in zip(
                found.pos_priors, gt.person_ids[found.pos_assigned_gt_inds]
            ):
                if person < 0:
                    continue
                people.add(int(person))
                roi = torch.cat((torch.tensor([float(image)]), prior))[None]
                maps = head.roi_maps(stage, x, roi)
                unit = F.normalize(head.embed(maps, stage).mean[0], dim=0)
                logits = tables[stage] @ unit * 30
                total = total + logits.logsumexp(0) - logits[person]
                labelled += 1
        assert labelled > 3
        torch.testing.assert_close(
            losses[f's{stage}.loss_reid'], total / labelled
        )
        memory = head.reid_head_of(stage).memory
        moved = (memory.prototypes != tables[stage][:6]).any(1).nonzero()
        assert set(moved.flatten().tolist()) == people


def test_all_weights_learn_and_are_apart():
    model = build(config()).train()
    memories = [m for m in model.modules() if isinstance(m, IdentityMemory)]
    assert len(memories) == 2
    keys = [k for k in model.state_dict() if k.startswith('roi_head.')]
    for prefix in ('reid_head.', 'earlier_reid_heads.0.'):
        assert any(k.startswith('roi_head.' + prefix) for k in keys)
    losses = model.loss(*demo_search_samples((3, 2), SIZE))
    training_loss(losses).backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('levels', [1, 2])
def test_maps_that_nobody_reads_have_no_weights(levels):
    """They would have no gradient, and several processes would wait."""
    cfg = TINY_METHODS['coat']()
    cfg.roi_head.reid_head.projection.in_channels = [32, 64][-levels:]
    cfg.roi_head.shared_head.exchange_width = 1
    model = build(cfg).train()
    kept = [part.before is not None for part in model.roi_head.shared_heads]
    assert kept == [False, levels == 2, levels == 2]
    losses = model.loss(*demo_search_samples((3, 2), SIZE))
    training_loss(losses).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None or not parameter.requires_grad, name


@pytest.mark.parametrize('how', ['concat', 'mean', 'first', 'last'])
def test_embeddings_of_the_stages_are_combined_as_told(how):
    """Of detections and queries, on the boxes that reach the last stage."""
    model = make(
        2,
        3,
        reid_from=how,
        confidence_weighted=True,
        score_from='first',
        nms=dict(type='nms', iou_threshold=1.0),
        max_per_img=100,
    ).eval()
    head = model.roi_head
    inputs, samples = demo_search_samples((2, 1), SIZE, queries=(2, 1))
    with torch.no_grad():
        results = model.predict(inputs, samples)
        x, rois = rois_of(model, inputs, samples)
        boxes = [s.query_instances.bboxes for s in samples]
        both = torch.cat((rois, bbox2roi(boxes)))
        first, last = (
            head.embed(head.roi_maps(stage, x, both), stage).embeddings
            for stage in (1, 2)
        )
    want = {
        'concat': torch.cat((first, last), 1) / 2**0.5,
        'mean': F.normalize(first + last, dim=1),
        'first': first,
        'last': last,
    }[how]
    queries = torch.cat([r.query_instances.embeddings for r in results])
    torch.testing.assert_close(queries, want[len(rois) :])
    found = torch.cat([r.pred_instances.embeddings for r in results])
    scores = torch.cat([r.pred_instances.scores for r in results])
    similar = F.normalize(found, dim=1) @ want[: len(rois)].T
    torch.testing.assert_close(
        similar.max(1).values, torch.ones(len(found)), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.norm(dim=1), scores)
    assert len(found) == len(rois)


def test_earlier_stages_embed_only_what_is_asked_for():
    model = make(2, 3, max_per_img=3).eval()
    head, seen = model.roi_head, []
    head.earlier_reid_heads[0].projection.register_forward_hook(
        lambda module, args, output: seen.append(len(output))
    )
    inputs, samples = demo_search_samples((2, 1), SIZE, queries=(1, 0))
    with torch.no_grad():
        model.predict(inputs, samples)
        boxes = len(rois_of(model, inputs, samples)[1])
        assert seen[:2] == [boxes, 6 + 1]
        head.test_cfg.reid_from = 'last'
        seen.clear()
        model.predict(inputs, samples)
    assert seen == [boxes]


def test_raw_outputs_are_of_the_last_stage():
    model = make().eval()
    inputs, samples = demo_search_samples((2, 1), SIZE)
    with torch.no_grad():
        x = model.extract_feat(inputs)
        found = model.rpn_head.predict(x, samples, rescale=False)
        logits, deltas, embeddings = model.roi_head(x, found)
    count = sum(map(len, found))
    assert logits.shape == (count, 2)
    assert deltas.shape == (count, 4)
    assert embeddings.shape == (count, 16)


def test_boxes_are_pruned_between_all_stages():
    """By the score of the stages so far."""
    model = make(2, 3, score_from='first').eval()
    head = model.roi_head
    nms = dict(type='nms', iou_threshold=1.0)
    seen = []
    real = head.run_stage

    def spy(stage, x, rois):
        out = real(stage, x, rois)
        seen.append((rois[:, 1:], out[0].softmax(1)[:, 0], out[1]))
        return out

    head.run_stage = spy
    head.test_cfg.before_last = [
        None,
        dict(score_thr=0.0, nms=nms, max_per_img=4),
    ]
    inputs, samples = demo_search_samples((2,), SIZE)
    with torch.no_grad():
        model.predict(inputs, samples)
    (one, scores, _), (two, own, deltas), (three, *_) = seen
    assert len(one) == len(two) > 4
    assert not torch.equal(scores.argsort(), own.argsort())
    best = scores.argsort(descending=True)[:4]
    want = head.bbox_head[1].bbox_coder.decode(
        two[best], deltas[best], max_shape=SIZE
    )
    torch.testing.assert_close(three, want)
    head.test_cfg.before_last[0] = dict(score_thr=0, nms=nms, max_per_img=3)
    seen.clear()
    with torch.no_grad():
        model.predict(inputs, samples)
    assert [len(boxes) for boxes, *_ in seen] == [len(one), 3, 3]


def test_second_loss_on_the_embeddings():
    """Of every stage; sees what the memory's loss sees."""
    model = tiny_two_stage(
        2,
        num_reid_stages=2,
        reid_head=dict(id_classifier=dict(max_ids=6, loss_weight=0.5)),
    )
    model = build(model).train()
    losses = model.loss(*demo_search_samples((3, 2), SIZE))
    names = {name for name in losses if name.endswith('loss_id')}
    assert names == {'s0.loss_id', 's1.loss_id'}
    for name in names:
        assert 0.5 < losses[name] < 1.5


def test_shallow_branch_is_beside_the_last_stage():
    cfg = shallow_neck(
        tiny_two_stage(2, num_reid_stages=2, shallow=shallow_branch())
    )
    model = build(cfg).train()
    losses = model.loss(*demo_search_samples((3, 2), SIZE))
    assert 's1.loss_shallow_reid' in losses
    assert 's0.loss_shallow_reid' not in losses
    model.eval()
    inputs, samples = demo_search_samples((3, 2), SIZE)
    with torch.no_grad():
        (found, _) = model.predict(inputs, samples)
    vectors = found.pred_instances.embeddings
    assert vectors.shape[1] == 48
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(vectors)))


def refuse(cfg, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(cfg)


def test_what_makes_no_sense_is_refused():
    for number in (0, 4):
        refuse(
            tiny_two_stage(3, num_reid_stages=number),
            f'between 1 and the number of bbox heads, 3, got {number}',
        )
    cfg = config(2)
    cfg.roi_head.num_reid_stages = 1
    refuse(
        cfg,
        'NormClassifier in bbox_head 1 .* LinearClassifier there, or '
        'num_reid_stages=2',
    )
    refuse(
        config(unit_queries=False),
        'unit_queries=False .* num_reid_stages=2',
    )
    refuse(
        config(before_last=[None]),
        'before_last has 1 entries for 3 stages',
    )
    refuse(config(reid_from='sum'), "test_cfg.reid_from .* got 'sum'")
    cfg = shallow_neck(
        tiny_two_stage(2, num_reid_stages=2, shallow=shallow_branch())
    )
    cfg.test_cfg.rcnn.embedding = 'mean'
    refuse(cfg, "embedding='mean' .* 32 values and the shallow one 16")
    cfg.test_cfg.rcnn.reid_from = 'mean'
    MODELS.build(cfg)

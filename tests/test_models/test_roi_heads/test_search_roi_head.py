"""Tests of the RoI head against loops over RoIs."""

from copy import deepcopy
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox2roi, bbox_overlaps
from mmengine.structures import InstanceData
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmps.models.losses import oim_loss as oim_module
from mmps.models.memories import readout as readout_module
from mmps.registry import MODELS
from mmps.testing import (
    HALF_DTYPES,
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from tiny_methods import shallow_branch, shallow_neck

SIZE = (128, 160)


def make(num_stages=1, **roi_head):
    """A model whose outputs differ from RoI to RoI."""
    torch.manual_seed(0)
    model = build(tiny_two_stage(num_stages, **roi_head))
    for head in model.roi_head.bbox_head:
        for layer in (head.fc_vertical, head.fc_horizontal):
            nn.init.normal_(layer.weight, std=0.05)
        if hasattr(head.classifier, 'fc'):
            nn.init.normal_(head.classifier.fc.weight, std=1.0)
    generator = torch.Generator().manual_seed(3)
    rows = torch.randn(6, 16, generator=generator)
    memory = model.roi_head.reid_head.memory
    memory.update(F.normalize(rows, dim=1), torch.arange(6))
    return model


def freeze_norm(model):
    """Train, with batch norm that does not tie RoIs together."""
    model.train()
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return model


def spy_on_samples(roi_head):
    """Collect what every stage samples."""
    found = []
    real = roi_head._sample

    def sample(*args):
        found.append(real(*args))
        return found[-1]

    roi_head._sample = sample
    return found


def test_losses_equal_a_loop_over_rois():
    model = freeze_norm(make())
    head = model.roi_head
    inputs, samples = demo_search_samples((3, 2), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, 4, -1])
    samples[1].gt_instances.person_ids = torch.tensor([4, 2])
    table = torch.cat((head.reid_head.memory.prototypes,
                       head.reid_head.memory.queue)).clone()  # fmt: skip
    sampled = spy_on_samples(head)
    losses = model.loss(inputs, samples)
    x = model.extract_feat(inputs)

    reid, cls, box, labelled, count = [], [], [], 0, 0
    for image, (result, sample) in enumerate(zip(sampled[0], samples)):
        gt = sample.gt_instances
        for prior in result.priors:
            count += 1
            roi = torch.cat((torch.tensor([float(image)]), prior))[None]
            maps = head.roi_maps(0, x, roi)
            overlap = bbox_overlaps(prior[None], gt.bboxes)[0]
            match = int(overlap.argmax()) if overlap.max() >= 0.5 else -1
            logits, deltas = head.detect(0, maps, None)
            label = 0 if match >= 0 else 1
            cls.append(-logits[0].log_softmax(0)[label])
            if match < 0:
                continue
            want = head.bbox_head[0].bbox_coder.encode(
                prior[None], gt.bboxes[match : match + 1]
            )
            box.append(F.smooth_l1_loss(deltas, want, reduction='sum'))
            person = int(gt.person_ids[match])
            if person >= 0:
                f = F.normalize(head.embed(maps).mean[0], dim=0)
                scores = table @ f * 30
                reid.append(torch.logsumexp(scores, 0) - scores[person])
                labelled += 1
    assert labelled > 3
    torch.testing.assert_close(losses['loss_reid'], sum(reid) / labelled)
    torch.testing.assert_close(losses['loss_cls'], sum(cls) / count)
    torch.testing.assert_close(losses['loss_bbox'], sum(box) / count)


def test_box_head_is_mmdets_with_the_same_weights():
    """One pooled vector, no norm: mmdet's BBoxHead, term by term."""
    head = make(bbox_head=dict(
        decomposition=dict(mode='mean'), reg_norm=False
    )).roi_head.bbox_head[0]  # fmt: skip
    twin = MODELS.build(
        dict(
            type='mmdet.BBoxHead',
            with_avg_pool=True,
            roi_feat_size=4,
            in_channels=64,
            num_classes=1,
            reg_class_agnostic=True,
            loss_cls=dict(type='mmdet.CrossEntropyLoss'),
            loss_bbox=dict(type='mmdet.SmoothL1Loss'),
        )
    )
    with torch.no_grad():
        twin.fc_cls.weight.copy_(head.classifier.fc.weight)
        twin.fc_cls.bias.copy_(head.classifier.fc.bias)
        for i, (layer, row) in enumerate(
            [('horizontal', 0), ('vertical', 0),
             ('horizontal', 1), ('vertical', 1)]
        ):  # fmt: skip
            own = getattr(head, f'fc_{layer}')
            twin.fc_reg.weight[i] = own.weight[row]
            twin.fc_reg.bias[i] = own.bias[row]
    x = torch.randn(5, 64, 4, 4)
    for a, b in zip(head(x), twin(x)):
        torch.testing.assert_close(a, b)


def test_memory_is_updated_after_every_reading():
    model = make(reid_head=dict(memory=dict(background_size=6))).train()
    memory = model.roi_head.reid_head.memory
    inputs, samples = demo_search_samples((2, 1), SIZE)
    samples[0].gt_instances.person_ids = torch.tensor([0, -1])
    samples[1].gt_instances.person_ids = torch.tensor([3])
    before = memory.prototypes.clone()
    losses = model.loss(inputs, samples)
    changed = (memory.prototypes != before).any(1).nonzero().flatten()
    assert changed.tolist() == [0, 3]
    assert memory.queue_filled.any()
    assert memory.background_filled.any()
    training_loss(losses).backward()


def test_memory_gets_people_with_their_ids_and_the_rest_as_background():
    """Annotated boxes are an image's last people, as in published code."""
    model = freeze_norm(make(reid_head=dict(memory=dict(background_size=6))))
    head, seen = model.roi_head, {}
    rule = dict(type='mmps.LocalizationAwareUpdate')
    head.reid_head.memory.update_rule = MODELS.build(rule)
    head.reid_head.memory.update = lambda x, ids, background, ious: (
        seen.update(x=x, ids=ids, background=background, ious=ious)
    )
    sampled = spy_on_samples(head)
    inputs, samples = demo_search_samples((3, 0, 2), SIZE)
    model.loss(inputs, samples)
    x = model.extract_feat(inputs)
    want = dict(x=[], ids=[], background=[], ious=[])
    annotated = 0
    for image, (result, sample) in enumerate(zip(sampled[0], samples)):
        last = []
        for prior in result.priors:
            roi = torch.cat((torch.tensor([float(image)]), prior))[None]
            vector = head.embed(head.roi_maps(0, x, roi)).embeddings[0]
            gt = sample.gt_instances
            overlap = bbox_overlaps(prior[None], gt.bboxes)[0]
            if not len(gt) or overlap.max() < 0.5:
                want['background'].append(vector)
                continue
            person = int(gt.person_ids[overlap.argmax()])
            if (prior == gt.bboxes).all(1).any():
                last.append((vector, person))
            else:
                want['x'].append(vector)
                want['ids'].append(person)
                want['ious'].append(overlap.max())
        annotated += len(last)
        want['x'].extend(vector for vector, _ in last)
        want['ids'].extend(person for _, person in last)
        want['ious'].extend(torch.ones(len(last)))
    # Both kinds of people are there.
    assert 0 < annotated < len(want['ids'])
    assert seen['ids'].tolist() == want['ids']
    for name in ('x', 'background', 'ious'):
        torch.testing.assert_close(seen[name], torch.stack(want[name]))


ONE_LEVEL = dict(type='mmps.LinearProjection', in_channels=[64], embed_dims=16)
METHODS = {
    'oim': dict(),
    'nae+ug': dict(
        bbox_head=dict(classifier=dict(type='mmps.NormClassifier')),
        reid_head=dict(uncertainty=dict(type='mmps.UncertaintyGuidance')),
    ),
    'nae-plus': dict(
        bbox_head=dict(classifier=dict(type='mmps.PixelNormClassifier')),
        reid_head=dict(
            pooling=dict(type='mmps.NormAttention'), projection=ONE_LEVEL
        ),
    ),
    'iidfc': dict(
        bbox_head=dict(
            classifier=dict(type='mmps.MemoryClassifier'),
            loss_cls=dict(type='mmps.SoftmaxFocalLoss'),
            loss_bbox=dict(type='mmps.IRRLoss'),
        ),
        reid_head=dict(
            memory=dict(background_size=6),
            loss_reid=dict(type='mmps.HOIMLoss', margin=dict(m1=0.9, m2=0.1)),
        ),
        attention=dict(type='mmps.PedestrianAttention'),
    ),
    'pgsfl': dict(
        reid_head=dict(
            pooling=dict(
                type='mmps.PrototypeGuidedAttention',
                channels=16,
                size=(4, 4),
            ),
            projection=ONE_LEVEL,
            loss_attention=dict(type='mmps.PrototypeGuidanceLoss'),
        )
    ),
    'ugas': dict(
        reid_head=dict(uncertainty=dict(type='mmps.UncertaintyGuidance')),
        shallow=shallow_branch(loss_distill=dict(type='mmps.SoftLabelLoss')),
    ),
}


def method(name, num_stages=1):
    """A tiny model of one of the methods."""
    torch.manual_seed(0)
    cfg = tiny_two_stage(num_stages, **deepcopy(METHODS[name]))
    return build(shallow_neck(cfg) if name == 'ugas' else cfg)


@pytest.mark.parametrize('people', [(0, 0), (1, 0)])
@pytest.mark.parametrize('stages', [1, 2])
@pytest.mark.parametrize('name', METHODS)
def test_images_without_people_train_every_parameter(name, stages, people):
    """So that no process waits for another's gradient."""
    model = method(name, stages).train()
    inputs, samples = demo_search_samples(people, SIZE)
    losses = model.loss(inputs, samples)
    total = training_loss(losses)
    assert total.isfinite()
    total.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ('name', 'products', 'in_place'),
    [
        ('oim', 0, 1),
        ('pgsfl', 0, 1),
        # Cosines and background, of all RoIs for the classifier.
        ('iidfc', 2, 0),
        # Of the deep and of the shallow memory, for SD.
        ('ugas', 2, 0),
    ],
)
def test_cosines_are_taken_once_where_a_part_needs_them(
    name, products, in_place
):
    model = method(name).train()
    inputs, samples = demo_search_samples((3, 2), SIZE)
    with (
        mock.patch.object(
            readout_module, '_product', side_effect=readout_module._product
        ) as product,
        mock.patch.object(
            oim_module,
            'memory_cross_entropy',
            side_effect=oim_module.memory_cross_entropy,
        ) as cross_entropy,
    ):
        model.loss(inputs, samples)
    assert product.call_count == products
    assert cross_entropy.call_count == in_place


@pytest.mark.parametrize('stages', [1, 2])
@pytest.mark.parametrize('name', METHODS)
def test_no_roi_at_all_in_training(name, stages):
    model = method(name, stages).train()
    inputs, samples = demo_search_samples((0, 0), SIZE)
    x = model.extract_feat(inputs)
    nothing = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in samples]
    losses = model.roi_head.loss(x, nothing, samples)
    total = training_loss(losses)
    assert total.isfinite()
    total.backward()


@pytest.mark.parametrize('dtype', HALF_DTYPES)
@pytest.mark.parametrize('name', METHODS)
def test_every_method_trains_under_autocast(name, dtype):
    model = method(name).train()
    inputs, samples = demo_search_samples((3, 2), SIZE)
    with torch.autocast('cpu', dtype=dtype):
        losses = model.loss(inputs, samples)
    total = training_loss(losses)
    assert total.dtype == torch.float32
    assert total.isfinite()
    total.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_detection_by_the_memory_does_not_see_sampling_noise():
    model = freeze_norm(
        make(
            bbox_head=dict(classifier=dict(type='mmps.MemoryClassifier')),
            reid_head=dict(
                memory=dict(background_size=6),
                uncertainty=dict(type='mmps.UncertaintyGuidance'),
            ),
        )
    )
    maps = [torch.randn(5, 32, 8, 8), torch.randn(5, 64, 4, 4)]
    head = model.roi_head
    logits = [head.detect(0, maps, head.embed(maps))[0] for _ in range(2)]
    assert torch.equal(*logits)
    features = head.embed(maps)
    people = torch.tensor([3, 1])
    torch.testing.assert_close(
        head.reid_head.read(features, people).x, features.sampled[people]
    )


def rois_of_proposals(model, inputs, samples):
    x = model.extract_feat(inputs)
    proposals = model.rpn_head.predict(x, samples, rescale=False)
    return x, [p.bboxes for p in proposals]


def test_detections_and_queries_equal_a_loop():
    model = make().eval()
    head = model.roi_head
    head.test_cfg.confidence_weighted = True
    inputs, samples = demo_search_samples(
        (3, 2), SIZE, queries=(2, 0), scale=0.5
    )
    with torch.no_grad():
        x, boxes = rois_of_proposals(model, inputs, samples)
        results = model.predict(inputs, samples, rescale=True)
        assert results[1].query_instances.embeddings.shape == (0, 16)
        for q, box in enumerate(samples[0].query_instances.bboxes):
            roi = torch.cat((torch.zeros(1), box * 0.5))[None]
            want = head.embed(head.roi_maps(0, x, roi)).embeddings[0]
            got = results[0].query_instances.embeddings[q]
            torch.testing.assert_close(got, want)
        for image in range(2):
            by_score = {}
            for box in boxes[image]:
                roi = torch.cat((torch.tensor([float(image)]), box))[None]
                maps = head.roi_maps(0, x, roi)
                logits, deltas = head.detect(0, maps, None)
                score = logits.softmax(1)[0, 0]
                where = head.bbox_head[0].bbox_coder.decode(
                    box[None], deltas, max_shape=SIZE
                )[0]
                by_score[round(score.item(), 5)] = (
                    where * 2,
                    head.embed(maps).embeddings[0] * score,
                )
            found = results[image].pred_instances
            assert len(found) > 1
            for box, score, vector in zip(
                found.bboxes, found.scores, found.embeddings
            ):
                want_box, want = by_score[round(score.item(), 5)]
                torch.testing.assert_close(box, want_box, atol=1e-3, rtol=0)
                torch.testing.assert_close(vector, want, atol=1e-5, rtol=1e-4)
            overlaps = bbox_overlaps(found.bboxes, found.bboxes)
            assert overlaps.fill_diagonal_(0).max() <= 0.4


@pytest.mark.parametrize('name', METHODS)
def test_only_what_is_kept_is_embedded(name, monkeypatch):
    model = method(name).eval()
    head = model.roi_head
    head.test_cfg.update(max_per_img=3, nms=dict(iou_threshold=0.9))
    inputs, samples = demo_search_samples((3, 2), SIZE, queries=(2, 0))
    seen, last_stage = {}, head.last_stage

    def spy(part):
        def count(module, args, output):
            seen[part] = len(output.embeddings)

        return count

    head.reid_head.register_forward_hook(spy('deep'))
    if head.shallow is not None:
        head.shallow.register_forward_hook(spy('shallow'))

    def of_all(x, rois):
        *found, embeddings_of = last_stage(x, rois)
        every = embeddings_of(torch.arange(len(rois)))
        return *found, lambda index, unit: every[index]

    with torch.no_grad():
        few = deepcopy(model.predict(inputs, samples))
        counts = dict(seen)
        monkeypatch.setattr(head, 'last_stage', of_all)
        every = model.predict(inputs, samples)
    kept = sum(len(one.pred_instances) for one in few)
    assert kept == 6 < seen['deep']
    for part, count in counts.items():
        if part == 'shallow' or not head.bbox_head[-1].needs_reid:
            assert count == kept + 2
    for one, other in zip(few, every):
        for field in ('pred_instances', 'query_instances'):
            torch.testing.assert_close(
                one.get(field).embeddings, other.get(field).embeddings
            )


@pytest.mark.parametrize('stages', [1, 2])
def test_a_batch_of_two_equals_two_batches(stages):
    model = make(stages).eval()
    model.roi_head.test_cfg.update(
        score_from='first',
        before_last=dict(
            score_thr=0.0, nms=dict(type='nms', iou_threshold=0.4)
        ),
    )
    inputs, samples = demo_search_samples((3, 2), SIZE, queries=(2, 1))
    with torch.no_grad():
        together = model.predict(inputs, samples)
        together = [
            (s.pred_instances, s.query_instances.embeddings.clone())
            for s in together
        ]
        for i in range(2):
            _, again = demo_search_samples((3, 2), SIZE, queries=(2, 1))
            (alone,) = model.predict(inputs[i : i + 1], again[i : i + 1])
            found, queries = together[i]
            torch.testing.assert_close(
                alone.query_instances.embeddings, queries
            )
            for key in ('bboxes', 'scores', 'embeddings'):
                torch.testing.assert_close(
                    alone.pred_instances[key], found[key]
                )


@pytest.mark.parametrize('stages', [1, 2])
@pytest.mark.parametrize('queries', [(0, 0), (1, 0)])
def test_no_proposal_is_no_error(stages, queries):
    model = make(
        stages,
        bbox_head=dict(classifier=dict(type='mmps.MemoryClassifier')),
        reid_head=dict(memory=dict(background_size=4)),
    ).eval()
    inputs, samples = demo_search_samples((1, 1), SIZE, queries=queries)
    nothing = [InstanceData(bboxes=torch.zeros(0, 4)) for _ in samples]
    with torch.no_grad():
        x = model.extract_feat(inputs)
        results = model.roi_head.predict(x, nothing, samples, rescale=True)
    for result, sample, count in zip(results, samples, queries):
        assert result.bboxes.shape == (0, 4)
        assert result.embeddings.shape == (0, 16)
        assert sample.query_instances.embeddings.shape == (count, 16)


def test_queries_are_not_weighted_and_follow_flips():
    model = make().eval()
    model.roi_head.test_cfg.confidence_weighted = True
    inputs, plain = demo_search_samples((2, 1), SIZE, queries=(2, 1))
    _, flipped = demo_search_samples((2, 1), SIZE, queries=(2, 1))
    for one, two in zip(plain, flipped):
        two.set_metainfo(dict(flip=True, flip_direction='horizontal'))
        boxes = one.query_instances.bboxes.clone()
        boxes[:, [0, 2]] = SIZE[1] - boxes[:, [2, 0]]
        two.query_instances.bboxes = boxes
    with torch.no_grad():
        model.predict(inputs, plain)
        model.predict(inputs, flipped)
    for one, two in zip(plain, flipped):
        vectors = one.query_instances.embeddings
        torch.testing.assert_close(vectors, two.query_instances.embeddings)
        torch.testing.assert_close(
            vectors.norm(dim=1), torch.ones(len(vectors))
        )


@pytest.mark.parametrize('stages', [1, 2])
def test_gt_box_gallery_equals_queries(stages):
    model = make(stages).eval()
    model.roi_head.test_cfg.update(use_gt_boxes=True, confidence_weighted=True)
    inputs, samples = demo_search_samples(
        (3, 0), SIZE, queries=(3, 0), scale=0.5
    )
    for sample in samples:  # annotations stay in original pixels
        sample.gt_instances.bboxes = sample.gt_instances.bboxes * 2
    with torch.no_grad():
        results = model.predict(inputs, samples)
    found = results[0].pred_instances
    torch.testing.assert_close(
        found.embeddings, results[0].query_instances.embeddings
    )
    torch.testing.assert_close(found.bboxes, samples[0].gt_instances.bboxes)
    assert found.scores.tolist() == [1, 1, 1]
    assert len(results[1].pred_instances) == 0


def test_scores_of_the_stages():
    """First, last, and the softmax of the mean logits."""
    model = make(2).eval()
    head = model.roi_head
    inputs, samples = demo_search_samples((3, 2), SIZE)
    head.test_cfg.nms = dict(type='nms', iou_threshold=1.0)
    head.test_cfg.max_per_img = 100
    scores = {}
    with torch.no_grad():
        x, boxes = rois_of_proposals(model, inputs, samples)
        for choice in ('first', 'last', 'mean'):
            head.test_cfg.score_from = choice
            found = model.predict(inputs, samples)[0].pred_instances
            scores[choice] = found.scores
        rois = bbox2roi(boxes[:1])
        first, deltas = head.detect(0, head.roi_maps(0, x, rois), None)
        refined = head.bbox_head[0].bbox_coder.decode(
            rois[:, 1:], deltas, max_shape=SIZE
        )
        rois = torch.cat((rois[:, :1], refined), 1)
        last, _ = head.detect(1, head.roi_maps(1, x, rois), None)
    want = dict(first=first, last=last, mean=(first + last) / 2)
    for choice, logits in want.items():
        expected = logits.softmax(1)[:, 0].sort(descending=True).values
        torch.testing.assert_close(scores[choice], expected)


def test_boxes_are_pruned_before_the_last_stage():
    model = make(2).eval()
    head = model.roi_head
    inputs, samples = demo_search_samples((3, 2), SIZE)
    seen = []
    real = head.roi_maps

    def spy(stage, x, rois):
        seen.append((stage, len(rois)))
        return real(stage, x, rois)

    head.roi_maps = spy
    with torch.no_grad():
        model.predict(inputs, samples)
        head.test_cfg.before_last = dict(
            score_thr=0.0,
            nms=dict(type='nms', iou_threshold=0.3),
            max_per_img=2,
        )
        model.predict(inputs, samples)
    assert [stage for stage, _ in seen] == [0, 1, 0, 1]
    assert seen[0][1] == seen[1][1] == seen[2][1] > 4
    assert seen[3][1] == 4


def test_stages_train_on_the_refined_boxes_of_the_one_before():
    model = freeze_norm(make(2))
    sampled = spy_on_samples(model.roi_head)
    inputs, samples = demo_search_samples((3, 2), SIZE)
    losses = model.loss(inputs, samples)
    assert {'s0.loss_cls', 's1.loss_cls', 's0.loss_bbox', 's1.loss_bbox',
            'loss_reid'} <= set(losses)  # fmt: skip
    x = model.extract_feat(inputs)
    head = model.roi_head
    for image, sample in enumerate(samples):
        first, second = sampled[0][image], sampled[1][image]
        rois = torch.cat(
            (torch.full((len(first.priors), 1), float(image)), first.priors), 1
        )
        _, deltas = head.detect(0, head.roi_maps(0, x, rois), None)
        refined = head.bbox_head[0].bbox_coder.decode(
            first.priors, deltas, max_shape=SIZE
        )
        allowed = torch.cat((refined, sample.gt_instances.bboxes))
        distance = torch.cdist(second.priors, allowed).min(1).values
        assert distance.max() < 1e-3
        assert not second.priors.requires_grad


def test_stages_share_no_weights():
    model = make(3)
    head = model.roi_head
    assert len(head.shared_heads) == len(head.bbox_head) == 3
    pointers = [next(s.parameters()).data_ptr() for s in head.shared_heads]
    assert len(set(pointers)) == 3
    model.train()
    losses = model.loss(*demo_search_samples((3, 2), SIZE))
    training_loss(losses).backward()
    assert all(p.grad is not None for p in model.parameters())


def test_stage_loss_weights():
    inputs, samples = demo_search_samples((3, 2), SIZE)
    values = []
    for weights in (None, [1.0, 0.25]):
        torch.manual_seed(0)
        model = freeze_norm(make(2, stage_loss_weights=weights))
        torch.manual_seed(1)
        values.append(model.loss(inputs, samples))
    assert values[0]['s0.loss_cls'] == values[1]['s0.loss_cls']
    for name in ('s1.loss_cls', 's1.loss_bbox'):
        torch.testing.assert_close(values[0][name] / 4, values[1][name])
    assert values[0]['s1.acc'] == values[1]['s1.acc']


@pytest.mark.parametrize('how', ['concat', 'mean', 'deep', 'shallow'])
def test_shallow_and_deep_are_combined_as_told(how):
    torch.manual_seed(0)
    model = build(
        shallow_neck(tiny_two_stage(shallow=shallow_branch()))
    ).eval()
    head = model.roi_head
    head.test_cfg.embedding = how
    inputs, samples = demo_search_samples((2, 1), SIZE, queries=(1, 0))
    with torch.no_grad():
        results = model.predict(inputs, samples)
        x = model.extract_feat(inputs)
        box = samples[0].query_instances.bboxes[0]
        roi = torch.cat((torch.zeros(1), box))[None]
        deep = head.embed(head.roi_maps(0, x, roi)).embeddings
        shallow = head.shallow(x, roi).embeddings
    want = {
        'concat': torch.cat((deep, shallow), 1) / 2**0.5,
        'mean': (deep + shallow) / (deep + shallow).norm(),
        'deep': deep,
        'shallow': shallow,
    }[how]
    torch.testing.assert_close(results[0].query_instances.embeddings, want)


@pytest.mark.parametrize('option', ['score_from', 'embedding'])
def test_unknown_choice_in_test_cfg(option):
    cfg = tiny_two_stage(2)
    cfg.test_cfg.rcnn[option] = 'sum'
    with pytest.raises(ValueError, match=f"test_cfg.{option} .* got 'sum'"):
        MODELS.build(cfg)


class Ops(TorchDispatchMode):
    """Record the operators that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('mode', ['sample', 'attenuate'])
def test_uncertainty_costs_nothing_at_inference(mode):
    """The same operators and results with and without its weights."""
    plain = make().eval()
    guided = make(reid_head=dict(uncertainty=dict(mode=mode)))
    fault = guided.load_state_dict(plain.state_dict(), strict=False)
    assert fault.missing_keys
    assert all('uncertainty' in name for name in fault.missing_keys)
    guided.eval()
    outs = []
    for model in (plain, guided):
        inputs, samples = demo_search_samples((2, 1), SIZE, queries=(1, 0))
        with torch.no_grad(), Ops() as ops:
            found = model.predict(inputs, samples)
        outs.append((ops.names, found))
    assert outs[0][0] == outs[1][0]
    for one, other in zip(outs[0][1], outs[1][1]):
        assert torch.equal(
            one.pred_instances.embeddings, other.pred_instances.embeddings
        )
        assert torch.equal(
            one.query_instances.embeddings, other.query_instances.embeddings
        )


def test_memory_takes_the_mean_and_the_loss_the_sample():
    model = freeze_norm(
        make(reid_head=dict(uncertainty=dict(type='mmps.UncertaintyGuidance')))
    )
    reid = model.roi_head.reid_head
    seen = {}
    reid.memory.update = lambda x, *_: seen.update(x=x)
    real = reid.forward

    def spy(*args, **kwargs):
        seen['features'] = real(*args, **kwargs)
        return seen['features']

    reid.forward = spy
    inputs, samples = demo_search_samples((2, 1), SIZE)
    losses = model.loss(inputs, samples)
    assert losses['loss_kl'] > 0
    features = seen['features']
    torch.testing.assert_close(
        features.embeddings, F.normalize(features.mean, dim=1)
    )
    # The noise is as large beside the embedding whatever its length.
    noise = (features.sampled - features.embeddings).norm(dim=1)
    assert 0.1 < float(noise.median()) < 1
    log_variance = features.log_variance
    people = (log_variance.exp() - log_variance - 1).sum(1) / 2 + 16 / 2
    assert people.min() < losses['loss_kl'] / 0.01 < people.max()
    rows = (seen['x'][:, None] == features.embeddings[None]).all(2)
    assert rows.any(1).all()


def test_autocast_step_is_finite_and_close():
    inputs, samples = demo_search_samples((3, 2), SIZE)
    values = []
    for enabled in (False, True):
        model = freeze_norm(make())
        torch.manual_seed(1)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            losses = model.loss(inputs, samples)
        training_loss(losses).backward()
        values.append(training_loss(losses).item())
    assert values[1] == pytest.approx(values[0], rel=0.1)


def test_tensor_mode_runs_on_the_proposals():
    """What get_flops calls."""
    for stages in (1, 2):
        model = make(stages).eval()
        inputs, samples = demo_search_samples((2, 1), SIZE)
        with torch.no_grad():
            out = model(inputs, samples, mode='tensor')
        shapes = [tuple(t.shape[1:]) for t in out[-1]]
        assert shapes == [(2,), (4,), (16,)]


def test_entries_per_stage_have_to_match():
    tiny = tiny_two_stage(2, stage_loss_weights=[1.0, 1.0, 1.0])
    with pytest.raises(ValueError, match='stage_loss_weights has 3 entries'):
        MODELS.build(tiny)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(shared_head=None), 'without shared_head a RoI has one map'),
        (
            dict(
                reid_head=dict(
                    loss_attention=dict(type='mmps.PrototypeGuidanceLoss')
                )
            ),
            'PrototypeGuidanceLoss needs a pooling with an attention map',
        ),
        (
            dict(bbox_head=dict(num_classes=2)),
            'knows one class',
        ),
        (
            dict(shallow=shallow_branch(), test_cfg=dict(unit_queries=False)),
            'unit_queries=False does not go with shallow',
        ),
        (
            dict(
                reid_head=dict(
                    projection=dict(
                        type='mmps.LinearProjection',
                        in_channels=[64],
                        embed_dims=16,
                    ),
                    pooling=dict(type='mmps.NormAttention'),
                    uncertainty=dict(type='mmps.UncertaintyGuidance'),
                )
            ),
            'UncertaintyGuidance reads pooled features',
        ),
        (
            dict(
                shallow=shallow_branch(
                    loss_distill=dict(type='mmps.SoftLabelLoss')
                ),
                reid_head=dict(memory=dict(queue_size=3)),
            ),
            'queue_size=3 and the shallow one 8',
        ),
    ],
)
def test_parts_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(tiny_two_stage(**options))


def test_queries_of_any_length():
    """The pooling's own vectors; those of detections stay unit vectors."""
    model = make(**METHODS['nae-plus']).eval()
    results = []
    for unit in (True, False):
        model.roi_head.test_cfg.unit_queries = unit
        inputs, samples = demo_search_samples((2, 1), SIZE, queries=(2, 1))
        with torch.no_grad():
            results.append(model.predict(inputs, samples))
    for one, other in zip(*results):
        torch.testing.assert_close(
            one.pred_instances.embeddings, other.pred_instances.embeddings
        )
        vectors = other.query_instances.embeddings
        torch.testing.assert_close(
            F.normalize(vectors, dim=1), one.query_instances.embeddings
        )
    with torch.no_grad():
        x = model.extract_feat(inputs)
        box = samples[1].query_instances.bboxes[0]
        maps = model.roi_head.roi_maps(
            0, x, bbox2roi([box[None][:0], box[None]])
        )
        own = model.roi_head.embed(maps).mean[0]
    torch.testing.assert_close(vectors[0], own)
    assert own.norm() < 0.99


def test_scores_by_embeddings_only_in_the_last_stage():
    model = tiny_two_stage(2)
    model.roi_head.bbox_head[0].classifier = dict(type='mmps.NormClassifier')
    with pytest.raises(ValueError, match='NormClassifier in bbox_head 0'):
        MODELS.build(model)


def test_shallow_branch_without_its_neck():
    model = build(tiny_two_stage(shallow=shallow_branch())).eval()
    inputs, samples = demo_search_samples((1,), SIZE)
    with pytest.raises(ValueError, match='use the neck ShallowFusion'):
        model.predict(inputs, samples)


def test_box_head_of_mmdet_with_several_classes():
    model = tiny_two_stage()
    model.roi_head.bbox_head = dict(
        type='mmdet.Shared2FCBBoxHead', in_channels=64, num_classes=80
    )
    with pytest.raises(ValueError, match='has num_classes=80'):
        MODELS.build(model)


def test_masks_are_refused():
    model = tiny_two_stage(
        mask_roi_extractor=dict(), mask_head=dict(type='mmdet.FCNMaskHead')
    )
    with pytest.raises((NotImplementedError, TypeError), match='mask'):
        MODELS.build(model)


def test_a_loss_that_knows_no_uncertainty():
    loss = dict(type='mmps.BatchHardTripletLoss')
    model = make(reid_head=dict(loss_reid=loss)).train()
    losses = model.loss(*demo_search_samples((3, 2)))
    assert losses['loss_reid'].isfinite()

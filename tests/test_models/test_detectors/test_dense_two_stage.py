"""Tests of a dense and a RoI head on one backbone, against each alone."""

import pytest
import torch
import torch.nn.functional as F
from mmdet.structures.bbox import bbox2roi, bbox_overlaps
from mmengine.config import ConfigDict
from torch import nn

from mmps.registry import MODELS
from mmps.testing import build, demo_search_samples

from tiny_methods import tiny_alignps, tiny_pcnet, tiny_roi_alignps

SIZE = (128, 160)


def make_model(embedding='concat', rcnn=None, **dense):
    cfg = tiny_roi_alignps()
    cfg.loss_mutual = dict(
        type='mmps.MutualInformationLoss', embed_dims=(16, 16), hidden_dims=8
    )
    cfg.test_cfg.embedding = embedding
    cfg.test_cfg.rcnn.update(rcnn or {})
    cfg.test_cfg.dense.update(dense)
    torch.manual_seed(0)
    model = build(cfg)
    nn.init.normal_(model.bbox_head.conv_cls.weight, std=0.3)
    return model


def part_of(model, name):
    """One of both networks alone, with the weights of both."""
    cfg = tiny_roi_alignps()
    if name == 'dense':
        cfg = tiny_alignps()
    else:
        cfg.type = 'mmdet.FasterRCNN'
        cfg.backbone.out_indices = (2,)
        for key in ('neck', 'bbox_head', 'roi_levels'):
            del cfg[key]
        del cfg.test_cfg['dense']
    part = build(cfg)
    state = model.state_dict()
    part.load_state_dict({key: state[key] for key in part.state_dict()})
    if name == 'dense':
        part.bbox_head.test_cfg = model.bbox_head.test_cfg
    return part


@pytest.mark.parametrize('name', ['dense', 'roi'])
def test_losses_are_those_of_each_alone(name):
    model = make_model().train()
    part = part_of(model, name).train()
    inputs, samples = demo_search_samples((3, 2), SIZE)
    found = model.loss(inputs, samples)
    inputs, samples = demo_search_samples((3, 2), SIZE)
    prefix = 'dense.' if name == 'dense' else ''
    for key, value in part.loss(inputs, samples).items():
        torch.testing.assert_close(found.pop(prefix + key), value)
    # What is left is the other's, and the loss of both.
    others = [key for key in found if key.startswith('dense.') == bool(prefix)]
    assert others == ([] if prefix else ['loss_mutual'])


def test_mutual_loss_gets_the_people_of_both(monkeypatch):
    model = make_model().train()
    inputs, samples = demo_search_samples((3, 2), SIZE)
    seen = []
    monkeypatch.setattr(
        model.loss_mutual,
        'forward',
        lambda *both: seen.extend(both) or inputs.sum(),
    )
    memories = model.roi_head.reid_head.memory, model.bbox_head.memory
    for memory in memories:
        monkeypatch.setattr(
            memory, 'update', lambda *args: seen.append(args[:2])
        )
    model.loss(inputs, samples)
    everybody = set(
        torch.cat([s.gt_instances.person_ids for s in samples]).tolist()
    )
    of_memories, of_loss = seen[:2], seen[2:]
    for remembered, (embeddings, person_ids) in zip(of_memories, of_loss):
        assert torch.equal(remembered[0], embeddings.detach())
        assert torch.equal(remembered[1], person_ids)
        assert embeddings.requires_grad
        assert set(person_ids.tolist()) == everybody


def predict(model, **kwargs):
    inputs, samples = demo_search_samples((3, 2), SIZE, **kwargs)
    with torch.no_grad():
        return model.eval().predict(inputs, samples, rescale=False), inputs


@pytest.mark.parametrize('embedding', ['concat', 'mean', 'dense', 'roi'])
@pytest.mark.parametrize('query_from', ['locations', 'detections'])
def test_people_are_found_once_and_embedded_twice(embedding, query_from):
    model = make_model(embedding, query_from=query_from)
    queries = (1, 2)
    results, inputs = predict(model, queries=queries)
    dense, _ = predict(part_of(model, 'dense'), queries=queries)
    alone = part_of(model, 'roi').eval()
    with torch.no_grad():
        levels = alone.extract_feat(inputs)
    for i, (one, other) in enumerate(zip(results, dense)):
        found, want = one.pred_instances, other.pred_instances
        assert len(found) == 10
        for field in ('bboxes', 'scores', 'labels'):
            assert torch.equal(found[field], want[field])
        boxes = torch.cat((want.bboxes, one.query_instances.bboxes))
        rois = []
        for box in boxes:
            with torch.no_grad():
                roi = bbox2roi([box[None]])
                maps = alone.roi_head.roi_maps(
                    0, [level[i : i + 1] for level in levels], roi
                )
                rois.append(alone.roi_head.embed(maps).embeddings[0])
        rois = torch.stack(rois)
        both = torch.cat((want.embeddings, other.query_instances.embeddings))
        expected = dict(
            concat=torch.cat((both, rois), 1) / 2**0.5,
            mean=F.normalize(both + rois, dim=1),
            dense=both,
            roi=rois,
        )[embedding]
        if query_from == 'detections':
            overlaps = bbox_overlaps(boxes[10:], boxes[:10])
            expected = torch.cat((expected[:10], expected[overlaps.argmax(1)]))
        embeddings = torch.cat(
            (found.embeddings, one.query_instances.embeddings)
        )
        torch.testing.assert_close(embeddings, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('query_from', ['locations', 'detections'])
def test_without_a_detection_queries_are_embedded(query_from):
    model = make_model(query_from=query_from, score_thr=1.0)
    results, _ = predict(model, queries=(1, 2))
    full, _ = predict(make_model(query_from='locations'), queries=(1, 2))
    for one, other in zip(results, full):
        assert one.pred_instances.embeddings.shape == (0, 32)
        torch.testing.assert_close(
            one.query_instances.embeddings, other.query_instances.embeddings
        )


def test_annotated_boxes_are_a_gallery():
    model = make_model(use_gt_boxes=True, query_from='locations')
    results, inputs = predict(model, queries=(3, 2))
    for sample in results:
        found, queries = sample.pred_instances, sample.query_instances
        torch.testing.assert_close(found.bboxes, queries.bboxes)
        torch.testing.assert_close(found.embeddings, queries.embeddings)


def test_boxes_of_the_original_image():
    model = make_model()
    small, _ = predict(model)
    inputs, samples = demo_search_samples((3, 2), SIZE)
    for sample in samples:
        sample.set_metainfo(dict(scale_factor=(0.5, 0.25)))
    with torch.no_grad():
        large = model.predict(inputs, samples)
    for one, two in zip(small, large):
        torch.testing.assert_close(
            one.pred_instances.bboxes * torch.tensor([2.0, 4.0, 2.0, 4.0]),
            two.pred_instances.bboxes,
        )


def test_pcnet_may_be_the_dense_head():
    cfg = tiny_roi_alignps()
    pcnet = tiny_pcnet()
    cfg.bbox_head, cfg.neck = pcnet.bbox_head, pcnet.neck
    cfg.train_cfg.dense = pcnet.train_cfg
    cfg.test_cfg.dense = dict(
        nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=10,
        return_points=True,
    )
    model = build(ConfigDict(cfg))
    inputs, samples = demo_search_samples((3, 2), SIZE)
    losses = model.train().loss(inputs, samples)
    assert {'dense.loss_dist', 'dense.loss_tri', 'loss_reid'} <= losses.keys()
    results, _ = predict(model, queries=(1, 2))
    for sample in results:
        found = sample.pred_instances
        assert found.embeddings.shape == (10, 32)
        assert found.points.shape[0] == 10


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (
            dict(rcnn=dict(confidence_weighted=True)),
            r'test_cfg\.rcnn\.confidence_weighted=True changes the length',
        ),
        (
            dict(rcnn=dict(unit_queries=False)),
            r'test_cfg\.rcnn\.unit_queries=False changes the length',
        ),
        (
            dict(embedding='both'),
            r"test_cfg\.embedding must be one of .*'roi'.*, got 'both'",
        ),
        (
            dict(rcnn=dict(use_gt_boxes=True)),
            r'test_cfg\.rcnn\.use_gt_boxes .* set test_cfg\.dense\.use_gt_box',
        ),
    ],
)
def test_options_that_do_not_go_together(change, message):
    with pytest.raises(ValueError, match=message):
        make_model(**change)


def test_heads_that_cannot_be_combined():
    cfg = tiny_roi_alignps()
    cfg.test_cfg.embedding = 'mean'
    cfg.roi_head.reid_head.projection.embed_dims = 8
    with pytest.raises(ValueError, match='RoI head have 8 values and the den'):
        MODELS.build(cfg)
    cfg.test_cfg.embedding = 'dense'
    MODELS.build(cfg)
    cfg.roi_head.gallery_filter = dict(type='mmps.GalleryFilter', pool_size=8)
    with pytest.raises(ValueError, match="embedding='dense' does not make"):
        MODELS.build(cfg)
    cfg.test_cfg.embedding = 'concat'
    MODELS.build(cfg)


def test_annotated_boxes_in_the_place_of_detections():
    model = make_model(use_gt_boxes=True).eval()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 1))
    with torch.no_grad():
        found = model.predict(inputs, samples)
    assert [len(one.pred_instances) for one in found] == [3, 2]


def test_an_option_beside_the_sections():
    cfg = tiny_roi_alignps()
    cfg.test_cfg.use_gt_boxes = True
    with pytest.raises(ValueError, match=r'test_cfg\.use_gt_boxes says noth'):
        MODELS.build(cfg)


def test_heads_that_embed_nobody():
    cfg = tiny_roi_alignps()
    cfg.bbox_head = dict(type='mmdet.FCOSHead', num_classes=1, in_channels=16)
    with pytest.raises(ValueError, match='FCOSHead is no DensePrediction'):
        MODELS.build(cfg)

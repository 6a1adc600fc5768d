"""Tests of the gallery filter, by itself and in a RoI head."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.runner.checkpoint import load_state_dict
from scene_loops import loss_loop, pairs_loop
from torch import nn

from mmps.models.memories.scene_memory import SceneMemory, SceneSample
from mmps.models.roi_heads import GalleryFilter
from mmps.structures import scene_scores
from mmps.testing import (
    build,
    demo_search_samples,
    tiny_two_stage,
    training_loss,
)

from tiny_methods import shallow_branch, shallow_neck

D = 8


class Scenes(nn.Module):
    """Projection of a filter in these tests: the scenes are the input."""

    embed_dims = D
    in_channels = (D,)

    def forward(self, levels):
        return levels[-1]


def make(**kwargs):
    """A filter whose input (N, D, 1, 1) are its scenes."""
    cfg = dict(
        shared_head=dict(type=nn.Identity),
        projection=dict(type=Scenes),
        embed_dims=D,
        pool_size=1,
        **kwargs,
    )
    return GalleryFilter(**cfg).double()


def fused_loop(scene, person, temperature):
    gate = torch.sigmoid(person / person.norm() / temperature)
    return scene * gate


def batch(counts=(2, 3, 1), seed=0):
    generator = torch.Generator().manual_seed(seed)
    scenes = torch.randn(len(counts), D, generator=generator).double()
    people = torch.randn(sum(counts), D, generator=generator).double()
    ids = torch.randint(-1, 3, (sum(counts),), generator=generator)
    return scenes, people, ids


def total_loop(filter_, scenes, people, ids, owners):
    """The published loss, pair after pair."""
    unit = [scene / scene.norm() for scene in scenes]
    rows = torch.stack(
        [
            torch.stack(
                [fused_loop(s, p, filter_.temperature) for p in people]
            )
            for s in unit
        ]
    )
    norm = nn.BatchNorm1d(D).double()
    norm.load_state_dict(filter_.norm.state_dict())
    rows = norm(rows.reshape(-1, D)).view_as(rows)
    cosine = torch.stack(
        [
            torch.stack(
                [
                    F.cosine_similarity(rows[i, q], rows[owners[q], q], dim=0)
                    for q in range(len(people))
                ]
            )
            for i in range(len(unit))
        ]
    )
    pairs = pairs_loop(ids.tolist(), owners, len(unit))
    positive, negative = (torch.tensor(kind) for kind in pairs)
    return loss_loop(cosine, positive, negative, 0.1), norm


@pytest.mark.parametrize('seed', range(4))
def test_loss_equals_a_loop_with_gradients(seed):
    filter_ = make()
    nn.init.normal_(filter_.norm.weight)
    nn.init.normal_(filter_.norm.bias)
    counts = (2, 3, 1)
    scenes, people, ids = batch(counts, seed)
    owners = [0, 0, 1, 1, 1, 2]
    inputs = scenes.requires_grad_(), people.requires_grad_()
    want, norm = total_loop(filter_, scenes, people, ids, owners)
    got = filter_.loss(
        (scenes[:, :, None, None],), people, ids, counts, [4, 5, 6]
    )
    assert got.keys() == {'loss_scene'}
    torch.testing.assert_close(got['loss_scene'], want)
    grads = [
        torch.autograd.grad(value, inputs)
        for value in (got['loss_scene'], want)
    ]
    torch.testing.assert_close(*grads, atol=1e-8, rtol=1e-6)
    for name, value in norm.state_dict().items():
        torch.testing.assert_close(filter_.norm.state_dict()[name], value)


def test_past_scenes_and_their_people_take_part():
    """As if they were of the batch, but for gradients."""
    filter_ = make(memory=dict(num_scenes=4, people_per_scene=2))
    counts = (2, 1)
    scenes, people, _ = batch((2, 1))
    past_scenes, past_people, _ = batch((2, 2, 2, 2), 1)
    ids, past_ids = [1, -1, 2], [[1, 0], [-1, -2], [5, 5], [0, -2]]
    filter_.memory.draw = lambda *_: SceneSample(
        F.normalize(past_scenes, dim=1),
        torch.tensor([True, True, False, True]),
        past_people.view(4, 2, D),
        torch.tensor(past_ids),
    )
    want, _ = total_loop(
        filter_,
        torch.cat((scenes, past_scenes[[0, 1, 3]])),
        torch.cat((people, past_people[[0, 1, 2, 6]])),
        torch.tensor([*ids, 1, 0, -1, 0]),
        [0, 0, 1, 2, 2, 3, 4],
    )
    got = filter_.loss(
        (scenes[:, :, None, None],), people, torch.tensor(ids), counts, [7, 9]
    )
    torch.testing.assert_close(got['loss_scene'], want)
    # And the batch is kept, by its frames.
    assert filter_.memory.frames[:-1].tolist() == [-1, 9, -1, 7]
    assert filter_.memory.person_ids[[3, 1]].tolist() == [[1, -1], [2, -2]]
    torch.testing.assert_close(
        filter_.memory.people[3], people[:2], atol=2e-3, rtol=2e-3
    )


def test_nobody_at_all_is_a_zero_in_the_graph():
    filter_ = make(memory=dict(num_scenes=4, people_per_scene=2))
    scenes = torch.randn(2, D).double().requires_grad_()
    people = torch.zeros(0, D).double()
    loss = filter_.loss(
        (scenes[:, :, None, None],), people, torch.zeros(0).long(), [0, 0],
        [1, 2],
    )['loss_scene']  # fmt: skip
    assert loss.item() == 0
    loss.backward()
    assert filter_.norm.num_batches_tracked == 0
    assert (filter_.memory.frames == -1).all()


def test_scores_of_stored_embeddings_are_those_of_the_model():
    filter_ = make()
    scenes, people, _ = batch((2, 3, 1))
    for name in ('weight', 'bias', 'running_mean'):
        nn.init.normal_(getattr(filter_.norm, name))
    nn.init.uniform_(filter_.norm.running_var)
    filter_.eval()
    owners = [0, 0, 1, 1, 1, 2]
    unit = filter_((scenes[:, :, None, None],))
    torch.testing.assert_close(unit, F.normalize(scenes, dim=1))
    filters = filter_.filters(people, unit[owners])
    assert filters.shape == (6, 3, D)
    got = scene_scores(filters.detach().numpy(), unit.numpy())
    for q, person in enumerate(people):
        rows = filter_.norm(
            torch.stack([fused_loop(s, person, 0.2) for s in unit])
        )
        want = F.cosine_similarity(rows, rows[owners[q]][None]).sigmoid()
        np.testing.assert_allclose(got[q], want.detach().numpy(), atol=1e-12)


@pytest.mark.parametrize(
    ('filters', 'scenes'), [((2, 3), (4, 5)), ((2, 3, 4), (4, 5)),
                            ((2, 2, 5), (4, 5)), ((2, 3, 5), (5,))],
)  # fmt: skip
def test_shapes_are_checked(filters, scenes):
    with pytest.raises(ValueError, match='scene_scores: '):
        scene_scores(np.zeros(filters), np.zeros(scenes))


def tiny(num_stages=2, **gallery_filter):
    return tiny_two_stage(
        num_stages,
        gallery_filter=dict(pool_size=8, **gallery_filter),
    )


@pytest.mark.parametrize('memory', [None, dict(num_scenes=5)])
def test_trains_and_predicts_in_a_roi_head(memory):
    torch.manual_seed(0)
    model = build(tiny(memory=memory)).train()
    for _ in range(2):
        inputs, samples = demo_search_samples((3, 2))
        losses = model.loss(inputs, samples)
        total = training_loss(losses)
    assert losses['loss_scene'] > 0
    total.backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []
    if memory is not None:
        table = model.roi_head.gallery_filter.memory
        assert table.frames[:-1].tolist() == [0, 1, -1, -1, -1]
        ids = samples[1].gt_instances.person_ids.tolist()
        assert table.person_ids[1, :3].tolist() == [*ids, -2]

    model.eval()
    inputs, samples = demo_search_samples((3, 2), queries=(1, 2))
    with torch.no_grad():
        first, second = model.predict(inputs, samples)
        x = model.extract_feat(inputs)
        scenes = model.roi_head.gallery_filter(x)
    for sample, scene in zip((first, second), scenes):
        assert torch.equal(sample.scene_embedding, scene)
        queries = sample.query_instances
        assert queries.scene_filters.shape == (len(queries), 3, 16)
        own = scene_scores(queries.scene_filters.numpy(), scene[None].numpy())
        np.testing.assert_allclose(own, 1 / (1 + np.exp(-1)), atol=1e-6)


def test_has_the_last_stage_and_projection_of_its_head():
    head = build(tiny()).roi_head
    filter_ = head.gallery_filter
    assert str(filter_.shared_head) == str(head.shared_heads[-1])
    assert str(filter_.projection) == str(head.reid_head.projection)
    assert filter_.shared_head is not head.shared_heads[-1]


def test_what_does_not_go_together_is_refused():
    config = tiny(1)
    config.roi_head.shallow = shallow_branch()
    with pytest.raises(ValueError, match='gallery_filter .* with shallow'):
        build(shallow_neck(config))
    config = tiny(1)
    config.roi_head.reid_head.projection.norm = dict(type='mmps.ProtoNorm')
    with pytest.raises(ValueError, match='ProtoNorm .* gallery_filter'):
        build(config)
    config = tiny(
        projection=dict(
            type='mmps.LinearProjection', in_channels=[64], embed_dims=4
        )
    )
    with pytest.raises(ValueError, match='embed_dims=4, that of reid_head 16'):
        build(config)
    config = tiny(1)
    del config.roi_head.shared_head
    config.roi_head.reid_head.projection.in_channels = [32]
    config.roi_head.bbox_head.update(in_channels=32, roi_feat_size=8)
    with pytest.raises(ValueError, match='gallery_filter .* no shared_head'):
        build(config)


def test_all_that_training_goes_on_from_is_in_the_state():
    """Steps from stored state and random numbers are those without a stop."""

    def step(model, number):
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
        inputs, samples = demo_search_samples((3, 2), seed=number)
        for sample in samples:
            sample.set_metainfo(dict(img_id=sample.img_id + number))
        losses = model.loss(inputs, samples)
        optimizer.zero_grad()
        training_loss(losses).backward()
        optimizer.step()
        return losses['loss_scene'].item()

    torch.manual_seed(0)
    model = build(tiny(memory=dict(num_scenes=5))).train()
    for number in range(3):
        step(model, number)
    stored = copy.deepcopy(model.state_dict())
    generator = torch.get_rng_state()
    want = [step(model, number) for number in (3, 4)]
    other = build(tiny(memory=dict(num_scenes=5))).train()
    other.load_state_dict(stored)
    torch.set_rng_state(generator)
    assert [step(other, number) for number in (3, 4)] == want
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name


@pytest.mark.parametrize('same', [True, False])
def test_scenes_of_other_people_are_forgotten(same):
    """Their contiguous person ids stand for others in a new data set."""
    first, second = (build(tiny(memory=dict(num_scenes=4))) for _ in range(2))
    inputs, samples = demo_search_samples((3, 2))
    for number, sample in enumerate(samples):
        sample.set_metainfo(dict(img_id=number))
    first.roi_head.reid_head.memory.resolve(range(6))
    first.train().loss(inputs, samples)
    assert (first.roi_head.gallery_filter.memory.frames >= 0).any()
    memory = second.roi_head.reid_head.memory
    memory.on_mismatch = 'reset'
    memory.resolve(range(6) if same else range(10, 16))
    load_state_dict(second, first.state_dict())
    kept = second.roi_head.gallery_filter.memory
    want = first.roi_head.gallery_filter.memory.state_dict()
    if not same:
        want = SceneMemory(
            kept.num_scenes, kept.people_per_scene, kept.embed_dims
        ).state_dict()
    for name, value in kept.state_dict().items():
        assert torch.equal(value, want[name])

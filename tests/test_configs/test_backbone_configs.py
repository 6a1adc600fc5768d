"""Configs of the methods on other backbones than ResNet-50."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmps.models.memories import IdentityMemory
from mmps.registry import MODELS
from mmps.testing import build, demo_search_samples, training_loss

from shapes_only import shapes_only

ROOT = Path(__file__).parents[2] / 'configs'
# Channels of the stages.
NARROW, WIDE = (96, 192, 384, 768), (128, 256, 512, 1024)
CHANNELS = {
    'convnext-t': NARROW,
    'convnext-s': NARROW,
    'convnext-b': WIDE,
    'swin-t': NARROW,
    'swin-s': NARROW,
    'swin-b': WIDE,
    'pvtv2-b2': (64, 128, 320, 512),
    'mobilenetv3-l': (24, 40, 112, 960),
}
SOLIDER = [f'solider-swin-{size}' for size in 'tsb']
METHODS = {'seqnet': 'seqnet', 'ugas-seqnet': 'ugas', 'pcnet': 'pcnet'}
QUICK = [('seqnet', name) for name in ('convnext-t', 'swin-t', 'pvtv2-b2')]


def load(method, backbone):
    return Config.fromfile(
        ROOT / METHODS[method] / f'{method}_{backbone}_prw.py'
    )


def untrained(model):
    model = model.copy()
    model.backbone.init_cfg = None
    if 'roi_head' in model:
        model.roi_head.shared_head.backbone.init_cfg = None
    return model


@pytest.mark.parametrize('backbone', [*CHANNELS, *SOLIDER])
def test_seqnet_differs_by_its_backbone_alone(backbone):
    base, cfg = load('seqnet', 'r50'), load('seqnet', backbone)
    _, _, shallow, deep = CHANNELS[backbone.removeprefix('solider-')]
    head = cfg.model.roi_head
    network = dict(cfg.model.backbone)
    assert network == head.shared_head.backbone
    assert (network['num_stages'], network['out_indices']) == (3, [2])
    assert network['init_cfg']['type'] == 'Pretrained'
    assert '_delete_' not in network
    # With ResNet's numbers in the place of the others it is the base.
    model = cfg.model.to_dict()
    head = model['roi_head']
    model['backbone'] = base.model.backbone
    head['shared_head']['backbone'] = base.model.backbone
    places = [
        (model['rpn_head'], 'in_channels', shallow, 1024),
        (model['rpn_head'], 'feat_channels', shallow, 1024),
        (head['bbox_roi_extractor'], 'out_channels', shallow, 1024),
        (head['reid_head']['projection'], 'in_channels', [shallow, deep],
         [1024, 2048]),
        *((box, 'in_channels', deep, 2048) for box in head['bbox_head']),
    ]  # fmt: skip
    for part, name, found, resnets in places:
        assert part[name] == found
        part[name] = resnets
    assert model == base.model.to_dict()
    for part in ('train_dataloader', 'param_scheduler', 'train_cfg'):
        assert cfg[part] == base[part]


@pytest.mark.parametrize('backbone', CHANNELS)
def test_ugas_and_pcnet_read_their_levels(backbone):
    channels = CHANNELS[backbone]
    seqnet, ugas = load('seqnet', backbone), load('ugas-seqnet', backbone)
    assert ugas.model.neck.in_channels == list(channels[:2])
    levels = dict(ugas.model.backbone, out_indices=[2])
    assert ugas.model.backbone.out_indices == [0, 1, 2]
    assert levels == seqnet.model.backbone
    assert ugas.optim_wrapper == seqnet.optim_wrapper
    pcnet = load('pcnet', backbone).model
    assert pcnet.neck.in_channels == list(channels[1:])
    assert pcnet.neck.start_level == 0
    assert pcnet.backbone.out_indices == [1, 2, 3]
    assert pcnet.backbone.init_cfg == seqnet.model.backbone.init_cfg
    # Pictures as the weights have seen them.
    for name in ('mean', 'std', 'bgr_to_rgb'):
        want = seqnet.model.data_preprocessor[name]
        assert pcnet.data_preprocessor[name] == want


@pytest.mark.parametrize(
    ('backbone', 'deep', 'published', 'trained'),
    [
        ('r50', 2048, 48_418_735, 48_409_199),
        ('convnext-s', 768, 66_442_191, 66_437_295),
        ('mobilenetv3-l', 960, 5_428_199, 5_427_735),
    ],
)
def test_sizes_are_those_of_the_published_models(
    backbone, deep, published, trained
):
    """SamueleCentanni/PersonSearch_PRW, whose figures the page has.

    Its box layers predict background, too (4 values more, of which the
    second head norms them), and its projections have biases before norms.
    """
    with DefaultScope.overwrite_default_scope('mmdet'), shapes_only():
        model = MODELS.build(untrained(load('seqnet', backbone).model))
    extra = 2 * (4 * deep + 4) + 8 + 256
    weights = list(model.parameters())
    assert sum(p.numel() for p in weights) + extra == published
    learned = [p for p in weights if p.requires_grad]
    assert sum(p.numel() for p in learned) + extra == trained


def few_rois(model):
    if 'roi_head' in model:
        model.train_cfg.rcnn.sampler.num = 8
        model.train_cfg.rpn_proposal.max_per_img = 20
        model.test_cfg.rpn.max_per_img = 8
    return model


@pytest.mark.parametrize(
    ('method', 'backbone'),
    [
        pytest.param(
            method,
            backbone,
            marks=()
            if 'mobilenet' in backbone or (method, backbone) in QUICK
            else pytest.mark.slow,
        )
        for method in METHODS
        for backbone in CHANNELS
    ],
)
def test_trains_a_step_and_predicts(method, backbone):
    """The whole network, on small pictures."""
    torch.manual_seed(0)
    model = build(few_rois(untrained(load(method, backbone).model))).train()
    for part in model.modules():
        if isinstance(part, IdentityMemory):
            part.resolve(range(6))
    inputs, samples = demo_search_samples((2, 2), (96, 96), queries=(1, 0))
    with torch.no_grad():
        model.loss(inputs, samples)  # an empty memory gives no gradient
    loss = training_loss(model.loss(inputs, samples))
    assert torch.isfinite(loss)
    loss.backward()
    for name, weight in model.named_parameters():
        if 'backbone' in name or 'shared_heads' in name:
            assert (weight.grad is not None) == weight.requires_grad, name
            assert weight.grad is None or weight.grad.isfinite().all(), name
    model.eval()
    with torch.no_grad():
        found = model.predict(inputs, samples)
    embeddings = found[0].query_instances.embeddings
    assert embeddings.isfinite().all()
    assert len(embeddings) == 1

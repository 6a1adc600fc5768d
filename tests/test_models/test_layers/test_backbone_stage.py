"""Tests of BackboneStage: the backbone's layers and weights on RoIs."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from mmps.registry import MODELS
from mmps.testing import build, demo_search_samples, tiny_two_stage

from tiny_backbones import TINY_BACKBONES, two_stage_on

BACKBONE = dict(
    type='mmdet.ResNet',
    depth=18,
    base_channels=8,
    stem_channels=8,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(2,),
    norm_eval=False,
)
RES2NET = dict(
    BACKBONE, type='mmps.PlainRes2Net', depth=50, scales=4, base_width=4
)


def whole(backbone):
    """The backbone with its last stage, as pretrained."""
    return MODELS.build(
        dict(
            backbone,
            num_stages=4,
            strides=(1, 2, 2, 2),
            dilations=(1, 1, 1, 1),
            out_indices=(2, 3),
        )
    )


@pytest.mark.parametrize('prefix', [None, 'backbone.', 'model.backbone'])
@pytest.mark.parametrize('backbone', [BACKBONE, RES2NET])
def test_starts_from_the_backbones_weights(tmp_path, backbone, prefix):
    """Stub checkpoint: layer4 of it, in two copies that are not shared."""
    torch.manual_seed(0)
    source = whole(backbone)
    file = tmp_path / 'pretrained.pth'
    state = source.state_dict()
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    if prefix:
        state = {f'{prefix.rstrip(".")}.{k}': v for k, v in state.items()}
        init_cfg['prefix'] = prefix
    torch.save(state, file)
    cfg = dict(
        type='mmps.BackboneStage', backbone=dict(backbone, init_cfg=init_cfg)
    )
    stages = [MODELS.build(cfg) for _ in range(2)]
    holder = nn.ModuleList(stages)
    for stage in stages:
        stage.init_weights()
        for name, value in source.layer4.state_dict().items():
            assert torch.equal(stage.layers.state_dict()[name], value), name
    first = next(stages[0].parameters())
    assert first.data_ptr() != next(stages[1].parameters()).data_ptr()
    assert len(list(holder.parameters())) == 2 * len(
        list(stages[0].parameters())
    )


def test_every_stage_of_a_model_starts_from_the_checkpoint(tmp_path):
    """SeqNet's two copies of layer4, and the backbone itself."""
    torch.manual_seed(0)
    source = whole(BACKBONE)
    file = tmp_path / 'pretrained.pth'
    torch.save(source.state_dict(), file)
    cfg = tiny_two_stage(num_stages=2)
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    cfg.backbone.init_cfg = init_cfg
    cfg.roi_head.shared_head.backbone.init_cfg = init_cfg
    torch.manual_seed(1)
    model = build(cfg)
    want = source.state_dict()
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, want[name]), name
    for stage in model.roi_head.shared_heads:
        for name, value in stage.layers.state_dict().items():
            assert torch.equal(value, want[f'layer4.{name}']), name


def test_frozen_batch_norm_is_one_option():
    """As configs/oim/README.md has it."""
    frozen = dict(norm_eval=True, norm_cfg=dict(requires_grad=False))
    cfg = Config.fromfile('configs/oim/oim_r18_scenes.py')
    cfg.merge_from_dict(
        dict(
            model=dict(
                backbone=frozen,
                roi_head=dict(shared_head=dict(backbone=frozen)),
            )
        )
    )
    cfg.model.roi_head.reid_head.memory.num_ids = 6
    model = build(cfg.model).train()
    before = {k: v.clone() for k, v in model.named_buffers()}
    model.loss(*demo_search_samples((3, 2)))
    moved = {
        name.rpartition('.')[0]
        for name, value in model.named_buffers()
        if 'running' in name and not torch.equal(value, before[name])
    }
    assert moved
    assert not any(n.startswith('backbone') for n in moved)
    assert not any('shared_heads' in n for n in moved)
    weights = dict(model.named_parameters())
    assert not weights['backbone.bn1.weight'].requires_grad
    assert not weights[
        'roi_head.shared_heads.0.layers.0.bn1.weight'
    ].requires_grad


def test_a_checkpoint_given_as_pretrained(tmp_path):
    source = whole(BACKBONE)
    file = tmp_path / 'pretrained.pth'
    torch.save(source.state_dict(), file)
    with pytest.warns(UserWarning, match='pretrained'):
        stage = MODELS.build(
            dict(
                type='mmps.BackboneStage',
                backbone=dict(BACKBONE, pretrained=str(file)),
            )
        )
    stage.init_weights()
    assert torch.equal(
        stage.layers[0].conv1.weight, source.layer4[0].conv1.weight
    )


@pytest.mark.parametrize('backbone', [BACKBONE, RES2NET])
def test_is_the_backbones_last_stage(backbone):
    source = whole(backbone)
    source.eval()  # mmdet's returns nothing
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=backbone))
    stage.layers.load_state_dict(source.layer4.state_dict())
    stage.eval()
    with torch.no_grad():
        before, after = source(torch.randn(1, 3, 64, 64))
        torch.testing.assert_close(stage(before), after)
    assert stage.out_channels == after.size(1)


def test_random_weights_are_the_backbones_kind():
    torch.manual_seed(0)
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=BACKBONE))
    stage.init_weights()
    conv = stage.layers[0].conv1.weight
    fan_out = conv.size(0) * 9
    assert conv.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
    # mmdet's blocks start as the identity.
    assert not stage.layers[0].bn2.weight.any()


def test_dilated():
    """PGSFL's 14 x 14 maps."""
    stage = MODELS.build(
        dict(
            type='mmps.BackboneStage',
            backbone=BACKBONE,
            stride=1,
            dilation=2,
        )
    )
    x = torch.randn(2, 32, 14, 14)
    assert stage(x).shape == (2, 64, 14, 14)
    assert stage.layers[1].conv1.dilation == (2, 2)


@pytest.mark.parametrize('norm_eval', [True, False])
def test_batch_norm_is_frozen_if_the_backbones_is(norm_eval):
    stage = MODELS.build(
        dict(
            type='mmps.BackboneStage',
            backbone=dict(BACKBONE, norm_eval=norm_eval, frozen_stages=1),
        )
    )
    stage.train()
    norm = stage.layers[0].bn1
    before = norm.running_mean.clone()
    stage(torch.randn(4, 32, 8, 8))
    assert torch.equal(norm.running_mean, before) == norm_eval
    assert all(p.requires_grad for p in stage.parameters())


def test_other_backbones_are_refused():
    @MODELS.register_module(force=True)
    class NoStages(nn.Module):
        def __init__(self, **kwargs):
            super().__init__()

    with pytest.raises(TypeError, match='NoStages has no residual stages'):
        MODELS.build(
            dict(
                type='mmps.BackboneStage',
                backbone=dict(type='mmps.NoStages'),
            )
        )


@pytest.mark.parametrize('name', TINY_BACKBONES)
def test_stage_of_any_backbone(name):
    """The last stage, on maps of any number of RoIs."""
    backbone, channels = TINY_BACKBONES[name]
    torch.manual_seed(0)
    source = MODELS.build(dict(backbone))
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=backbone))
    layers = source.stage_layers(3)
    stage.layers.load_state_dict(layers.state_dict())
    source.eval()
    stage.eval()
    with torch.no_grad():
        outs = source(torch.randn(2, 3, 96, 96))
        # Swin norms what it gives, and merges what it does not.
        last = outs[3] if 'Swin' not in name else layers.eval()(outs[2])
        torch.testing.assert_close(stage(outs[2]), last)
    assert stage.out_channels == channels[3]
    maps = torch.randn(0, channels[2], 14, 14, requires_grad=True)
    out = stage.train()(maps)
    assert out.shape == (0, channels[3], 7, 7)
    out.sum().backward()
    for key, weight in stage.named_parameters():
        assert weight.grad is not None, key
        assert not weight.grad.any(), key
    assert not any(
        b.any() for k, b in stage.named_buffers() if 'running_mean' in k
    )


@pytest.mark.parametrize('name', TINY_BACKBONES)
def test_every_stage_of_a_model_starts_from_a_backbones_file(tmp_path, name):
    """As of ResNet above: two copies that are not shared."""
    torch.manual_seed(0)
    source = MODELS.build(dict(TINY_BACKBONES[name][0]))
    source.init_weights()
    file = tmp_path / 'pretrained.pth'
    torch.save(source.state_dict(), file)
    cfg = two_stage_on(name, 2)
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    cfg.backbone.init_cfg = init_cfg
    cfg.roi_head.shared_head.backbone.init_cfg = init_cfg
    torch.manual_seed(1)
    model = build(cfg)
    want = source.state_dict()
    for key, value in model.backbone.state_dict().items():
        assert torch.equal(value, want[key]), key
    first, second = model.roi_head.shared_heads
    for stage in (first, second):
        layers = source.stage_layers(3).state_dict()
        assert layers
        for key, value in stage.layers.state_dict().items():
            assert torch.equal(value, layers[key]), key
    shared = {p.data_ptr() for p in first.parameters()}
    assert not shared & {p.data_ptr() for p in second.parameters()}


@pytest.mark.parametrize('option', [dict(stride=1), dict(dilation=2)])
def test_stride_of_other_backbones_is_their_own(option):
    with pytest.raises(ValueError, match='mmps.ConvNeXt has stride 2, got'):
        MODELS.build(
            dict(
                type='mmps.BackboneStage',
                backbone=TINY_BACKBONES['ConvNeXt'][0],
                **option,
            )
        )

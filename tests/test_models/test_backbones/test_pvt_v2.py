"""PVTv2 that ends early, and its authors' files."""

import pytest
import torch
from mmdet.models.backbones import PyramidVisionTransformerV2

from mmps.registry import MODELS
from mmps.utils.errors import UsageError

OPTIONS = dict(embed_dims=8, num_layers=(1, 2, 1, 1), num_heads=(1, 2, 4, 8))
SMALL = dict(type='mmps.PVTv2', **OPTIONS)


@pytest.fixture(scope='module')
def whole():
    """mmdet's own."""
    torch.manual_seed(0)
    net = PyramidVisionTransformerV2(num_stages=4, **OPTIONS)
    net.eval()
    return net


def authors_keys(state):
    """A state dict of mmdet's with the keys of the authors' code."""
    found = {'head.weight': torch.zeros(10, 64)}
    for key, value in state.items():
        _, stage, part, *rest = key.split('.')
        stage = int(stage) + 1
        name = '.'.join(rest)
        if part == '0':
            name = name.replace('projection', 'proj')
            found[f'patch_embed{stage}.{name}'] = value
            continue
        if part == '2':
            found[f'norm{stage}.{name}'] = value
            continue
        block, *layer, last = rest
        layer, at = '.'.join(layer), f'block{stage}.{block}'
        if last.startswith('in_proj_'):
            width = len(value) // 3
            kind = last.removeprefix('in_proj_')
            found[f'{at}.attn.q.{kind}'] = value[:width]
            found[f'{at}.attn.kv.{kind}'] = value[width:]
            continue
        layer = {
            'attn.attn.out_proj': 'attn.proj',
            'ffn.layers.0': 'mlp.fc1',
            'ffn.layers.1': 'mlp.dwconv.dwconv',
            'ffn.layers.4': 'mlp.fc2',
        }.get(layer, layer)
        if layer in ('mlp.fc1', 'mlp.fc2') and last == 'weight':
            value = value[:, :, 0, 0]
        found[f'{at}.{layer}.{last}'] = value
    return found


@pytest.mark.parametrize('rename', [dict, authors_keys])
def test_map_and_stage_are_mmdets(whole, tmp_path, rename):
    file = tmp_path / 'pvt.pth'
    torch.save(rename(whole.state_dict()), file)
    cfg = dict(
        SMALL,
        num_stages=3,
        out_indices=(2,),
        init_cfg=dict(type='Pretrained', checkpoint=str(file)),
    )
    net = MODELS.build(cfg)
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=cfg))
    for part in (net, stage):
        part.init_weights()
        part.eval()
    torch.manual_seed(1)
    picture = torch.randn(1, 3, 96, 128)
    with torch.no_grad():
        wanted = whole(picture)
        (out,) = net(picture)
        assert torch.equal(out, wanted[2])
        assert torch.equal(stage(out), wanted[3])
    assert stage.out_channels == 64


def test_another_networks_file_is_refused(whole, tmp_path):
    file = tmp_path / 'pvt.pth'
    state = authors_keys(whole.state_dict())
    del state['block1.0.attn.kv.weight']
    torch.save(state, file)
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    net = MODELS.build(dict(SMALL, init_cfg=init_cfg))
    with pytest.raises(UsageError, match='is not of this PVTv2'):
        net.init_weights()


def test_stochastic_depth_grows_over_the_whole_network(whole):
    net = MODELS.build(dict(SMALL, num_stages=2, out_indices=(1,)))

    def rates(net):
        return [
            block.attn.dropout_layer.drop_prob
            if hasattr(block.attn.dropout_layer, 'drop_prob')
            else 0.0
            for stage in net.layers
            for block in stage[1]
        ]

    assert rates(net) == rates(whole)[:3]
    assert rates(whole)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize('frozen', [-1, 0, 2])
def test_frozen_stages(frozen):
    net = MODELS.build(dict(SMALL, frozen_stages=frozen))
    net.train()
    for i, (embed, blocks, _) in enumerate(net.layers):
        assert blocks[0].training == (i >= frozen)
        assert embed.training == (i >= max(frozen, int(frozen == 0)))
        assert all(
            p.requires_grad == (i >= frozen) for p in blocks.parameters()
        )


def test_stages_that_are_not_there():
    with pytest.raises(ValueError, match='PVTv2 has 4 stages; got'):
        MODELS.build(dict(SMALL, num_stages=3))

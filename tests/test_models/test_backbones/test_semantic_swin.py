"""Swin with SOLIDER's condition: outputs and files of the authors' code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.models.backbones import SwinTransformer
from mmengine.config import ConfigDict

from mmps.registry import MODELS
from mmps.utils.errors import UsageError

from ruled_weights import rule_weight

SMALL = dict(
    type='mmps.SemanticSwin',
    embed_dims=8,
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 2, 4),
)


@pytest.fixture(scope='module')
def stored():
    path = Path(__file__).parents[2] / 'data' / 'solider_swin.npz'
    with np.load(path) as file:
        return {key: torch.from_numpy(file[key])
                if file[key].dtype.kind == 'f' else file[key].tolist()
                for key in file.files}  # fmt: skip


@pytest.fixture(scope='module')
def teacher(stored):
    """The authors' keys, as a file of theirs has them."""
    own = MODELS.build(dict(SMALL)).state_dict()
    return {
        key: own[key.removeprefix('backbone.')]
        if key.endswith('index')
        else rule_weight(key, tuple(map(int, shape.split())))
        for key, shape in zip(stored['keys'], stored['shapes'])
    }


def noise(seed, *shape):
    draw = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draw.astype(np.float32))


def pretrained(file, **kwargs):
    init_cfg = dict(type='Pretrained', checkpoint=str(file))
    return dict(SMALL, init_cfg=init_cfg, **kwargs)


@pytest.fixture(params=['teacher alone', 'whole training', 'parallel'])
def checkpoint(request, teacher, tmp_path):
    file = tmp_path / 'solider.pth'
    state = {**teacher, 'head.mlp.0.weight': torch.zeros(2)}
    if request.param == 'parallel':
        state = {f'module.{key}': value for key, value in state.items()}
    if request.param != 'teacher alone':
        state = dict(student={}, teacher=state, epoch=100)
    torch.save(state, file)
    return file


@pytest.mark.parametrize('weight', [0.6, 1.0])
def test_outputs_are_those_of_the_authors_code(stored, checkpoint, weight):
    net = MODELS.build(pretrained(checkpoint, semantic_weight=weight))
    net.init_weights()
    net.eval()
    with torch.no_grad():
        outs = net(noise(0, 1, 3, 72, 104))
    for stage, out in enumerate(outs):
        want = stored[f'{weight}/stage{stage}']
        torch.testing.assert_close(out[0, ::2], want, atol=2e-5, rtol=0)


def test_map_and_stage_on_rois_are_those_of_their_person_search(
    stored, checkpoint
):
    cfg = pretrained(
        checkpoint, semantic_weight=0.6, num_stages=3, out_indices=(2,)
    )
    net = MODELS.build(cfg)
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=cfg))
    for part in (net, stage):
        part.init_weights()
        part.eval()
    with torch.no_grad():
        (out,) = net(noise(0, 1, 3, 72, 104))
        deep = stage(noise(1, 2, 32, 14, 14))
    want = stored['0.6/stage2']
    torch.testing.assert_close(out[0, ::2], want, atol=2e-5, rtol=0)
    assert deep.shape == (2, 64, 7, 7)
    torch.testing.assert_close(
        deep.mean((2, 3)), stored['0.6/roi'], atol=2e-5, rtol=0
    )


def test_without_condition_it_is_mmdets(teacher, checkpoint):
    """The same file; the semantic embeddings are left out."""
    net = MODELS.build(pretrained(checkpoint))
    net.init_weights()
    other = SwinTransformer(**{k: v for k, v in SMALL.items() if k != 'type'})
    other.load_state_dict(
        {
            key.removeprefix('backbone.'): value
            for key, value in teacher.items()
            if 'semantic' not in key
        }
    )
    for one in (net, other):
        one.eval()
    picture = noise(0, 1, 3, 64, 64)
    with torch.no_grad():
        for one, two in zip(net(picture), other(picture), strict=True):
            assert torch.equal(one, two)


def swin_of_its_authors():
    """Microsoft's keys, with shapes of :data:`SMALL`."""
    shapes = {
        'patch_embed.proj.weight': (8, 3, 4, 4),
        'patch_embed.proj.bias': (8,),
        'patch_embed.norm.weight': (8,),
        'patch_embed.norm.bias': (8,),
        'norm.weight': (64,),
        'norm.bias': (64,),
        'head.weight': (10, 64),
        'head.bias': (10,),
    }
    for stage, heads in enumerate(SMALL['num_heads']):
        width = 8 * 2**stage
        for block in range(2):
            at = f'layers.{stage}.blocks.{block}'
            for norm in ('norm1', 'norm2'):
                shapes[f'{at}.{norm}.weight'] = (width,)
                shapes[f'{at}.{norm}.bias'] = (width,)
            shapes[f'{at}.attn.relative_position_bias_table'] = (169, heads)
            layers = {
                'attn.qkv': (3 * width, width),
                'attn.proj': (width, width),
                'mlp.fc1': (4 * width, width),
                'mlp.fc2': (width, 4 * width),
            }
            for name, shape in layers.items():
                shapes[f'{at}.{name}.weight'] = shape
                shapes[f'{at}.{name}.bias'] = shape[:1]
        if stage < 3:
            at = f'layers.{stage}.downsample'
            shapes[f'{at}.reduction.weight'] = (2 * width, 4 * width)
            shapes[f'{at}.norm.weight'] = (4 * width,)
            shapes[f'{at}.norm.bias'] = (4 * width,)
    state = {key: rule_weight(key, shape) for key, shape in shapes.items()}
    own = MODELS.build(dict(SMALL)).state_dict()
    for key, value in own.items():
        if key.endswith('index'):
            key = key.replace('stages', 'layers').replace('.w_msa', '')
            state[key] = value
    return state


def test_reads_the_files_of_swins_authors(tmp_path):
    """As mmdet does, and their last norm is that of the last stage."""
    file = tmp_path / 'swin.pth'
    state = swin_of_its_authors()
    torch.save(dict(model=state), file)
    net = MODELS.build(pretrained(file))
    net.init_weights()
    init_cfg = ConfigDict(type='Pretrained', checkpoint=str(file))
    other = MODELS.build(
        dict(SMALL, type='mmdet.SwinTransformer', convert_weights=True,
             init_cfg=init_cfg)
    )  # fmt: skip
    other.init_weights()
    for key, value in other.state_dict().items():
        if key == 'norm3.weight':
            value = state['norm.weight']
        elif key == 'norm3.bias':
            value = state['norm.bias']
        assert torch.equal(net.state_dict()[key], value), key


def test_a_stage_more_does_not_change_those_before_it():
    torch.manual_seed(0)
    whole = MODELS.build(dict(SMALL, semantic_weight=0.2, drop_path_rate=0.3))
    short = MODELS.build(
        dict(SMALL, semantic_weight=0.2, drop_path_rate=0.3, num_stages=3,
             out_indices=(2,))
    )  # fmt: skip
    assert not [k for k in short.state_dict() if 'stages.3' in k]
    short.load_state_dict(whole.state_dict(), strict=False)
    rates = [
        [b.ffn.dropout_layer.drop_prob for s in net.stages for b in s.blocks]
        for net in (whole, short)
    ]
    assert rates[0][:6] == rates[1]
    for net in (whole, short):
        net.eval()
    picture = noise(0, 1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(short(picture)[0], whole(picture)[2])


def test_files_that_do_not_fit_are_refused(tmp_path, teacher):
    file = tmp_path / 'other.pth'
    plain = {k: v for k, v in teacher.items() if 'semantic' not in k}
    torch.save(plain, file)
    net = MODELS.build(pretrained(file, semantic_weight=0.6))
    with pytest.raises(UsageError, match=r'lacks 12 of .*downsample\.scale'):
        net.init_weights()
    net = MODELS.build(pretrained(file, mlp_ratio=2))
    with pytest.raises(UsageError, match='in other shapes'):
        net.init_weights()


@pytest.mark.parametrize(
    ('option', 'error'),
    [
        (dict(semantic_weight=1.5), 'semantic_weight must be 0 to 1'),
        (dict(num_stages=3), r'4 stages; got num_stages=3'),
        (dict(num_stages=5), r'4 stages; got num_stages=5'),
    ],
)
def test_options_are_checked(option, error):
    with pytest.raises(ValueError, match=error):
        MODELS.build(dict(SMALL, **option))

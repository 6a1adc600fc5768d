"""ConvNeXt and MobileNetV3: outputs and files of others' code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mmps.registry import MODELS
from mmps.utils.errors import UsageError

from ruled_weights import rule_weight

NETS = {
    'convnext': dict(
        type='mmps.ConvNeXt', depths=(1, 2, 2, 1), widths=(8, 16, 24, 32)
    ),
    'mobilenet_v3': dict(type='mmps.MobileNetV3Large'),
}
# Every how many channels are stored; those of the map before the last stage.
STORED = {'convnext': (2, 24), 'mobilenet_v3': (8, 112)}


@pytest.fixture(scope='module')
def stored():
    path = Path(__file__).parents[2] / 'data' / 'torchvision_rows.npz'
    with np.load(path) as file:
        return dict(file)


def published(stored, name):
    """The state dict of torchvision, classifier included."""
    return {
        key: rule_weight(key, tuple(map(int, shape.split())))
        for key, shape in zip(
            stored[f'{name}/keys'].tolist(), stored[f'{name}/shapes'].tolist()
        )
    }


def authors_keys(state):
    """ConvNeXt's state dict as its authors name and shape it."""
    layers = dict(zip(('0', '2', '3', '5'),
                      ('dwconv', 'norm', 'pwconv1', 'pwconv2')))  # fmt: skip
    found = {}
    for key, value in state.items():
        _, place, *rest = key.split('.')
        if key.startswith('classifier'):
            key = 'norm.weight'
        elif int(place) % 2 == 0:
            key = '.'.join(['downsample_layers', str(int(place) // 2), *rest])
        else:
            block, layer, *rest = rest
            name = 'gamma'
            if layer == 'block':
                name = '.'.join([layers[rest[0]], rest[1]])
            else:
                value = value[:, 0, 0]
            key = f'stages.{int(place) // 2}.{block}.{name}'
        found[key] = value
    return found


def noise(seed, *shape):
    draw = np.random.RandomState(seed).standard_normal(shape)
    return torch.from_numpy(draw.astype(np.float32))


def saved(tmp_path, state, **kwargs):
    file = tmp_path / 'pretrained.pth'
    torch.save(state, file)
    return dict(type='Pretrained', checkpoint=str(file), **kwargs)


@pytest.mark.parametrize('name', NETS)
def test_outputs_are_torchvisions(stored, tmp_path, name):
    init_cfg = saved(tmp_path, published(stored, name))
    net = MODELS.build(dict(NETS[name], init_cfg=init_cfg))
    net.init_weights()
    net.eval()
    every, channels = STORED[name]
    with torch.no_grad():
        outs = net(noise(0, 1, 3, 72, 104))
    for stage, out in enumerate(outs):
        want = torch.from_numpy(stored[f'{name}/stage{stage}'])
        torch.testing.assert_close(out[0, ::every], want, atol=1e-5, rtol=1e-4)
    # The stage on RoIs alone, from the same file.
    stage = MODELS.build(
        dict(
            type='mmps.BackboneStage',
            backbone=dict(NETS[name], init_cfg=init_cfg),
        )
    )
    stage.init_weights()
    stage.eval()
    with torch.no_grad():
        deep = stage(noise(1, 2, channels, 14, 14))
    assert deep.shape[2:] == (7, 7)
    want = torch.from_numpy(stored[f'{name}/roi'])
    torch.testing.assert_close(deep.mean((2, 3)), want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('container', [None, 'model'])
def test_reads_the_files_of_convnexts_authors(stored, tmp_path, container):
    torchvisions = published(stored, 'convnext')
    state = authors_keys(torchvisions)
    assert 'stages.1.1.gamma' in state
    assert 'downsample_layers.3.1.weight' in state
    init_cfg = saved(tmp_path, {container: state} if container else state)
    net = MODELS.build(dict(NETS['convnext'], init_cfg=init_cfg))
    net.init_weights()
    for key, value in net.state_dict().items():
        assert torch.equal(value, torchvisions[key]), key


@pytest.mark.parametrize('prefix', ['backbone', 'detector.backbone.'])
def test_prefix_of_a_detectors_checkpoint(stored, tmp_path, prefix):
    state = published(stored, 'convnext')
    inner = {f'{prefix.rstrip(".")}.{k}': v for k, v in state.items()}
    init_cfg = saved(tmp_path, dict(state_dict=inner), prefix=prefix)
    net = MODELS.build(dict(NETS['convnext'], init_cfg=init_cfg))
    net.init_weights()
    for key, value in net.state_dict().items():
        assert torch.equal(value, state[key]), key


@pytest.mark.parametrize('name', NETS)
def test_another_networks_file_is_refused(stored, tmp_path, name):
    other = next(n for n in NETS if n != name)
    init_cfg = saved(tmp_path, published(stored, other))
    net = MODELS.build(dict(NETS[name], init_cfg=init_cfg))
    with pytest.raises(UsageError, match=r'is not of this .* lacks \d+ of'):
        net.init_weights()
    net = MODELS.build(dict(NETS[name], init_cfg=dict(type='Normal', std=0.1)))
    with pytest.raises(ValueError, match="expected dict\\(type='Pretrained'"):
        net.init_weights()


def test_what_pretraining_lacks_starts_as_it_does(stored, tmp_path):
    """Norms of the outputs, and counters of old batch norms."""
    init_cfg = saved(tmp_path, published(stored, 'convnext'))
    net = MODELS.build(
        dict(NETS['convnext'], norm_outputs=True, out_indices=(1, 3),
             init_cfg=init_cfg)
    )  # fmt: skip
    net.init_weights()
    assert list(net.norms) == ['1', '3']
    for out in net(noise(0, 1, 3, 64, 64)):
        torch.testing.assert_close(
            out.mean(1), torch.zeros(1, *out.shape[2:]), atol=1e-5, rtol=0
        )
    state = published(stored, 'mobilenet_v3')
    old = {k: v for k, v in state.items() if 'num_batches' not in k}
    net = MODELS.build(
        dict(NETS['mobilenet_v3'], init_cfg=saved(tmp_path, old))
    )
    net.init_weights()
    assert torch.equal(net.features[0][0].weight, state['features.0.0.weight'])


@pytest.mark.parametrize('name', NETS)
@pytest.mark.parametrize('frozen', [-1, 0, 1, 3])
def test_frozen_stages(name, frozen):
    net = MODELS.build(
        dict(NETS[name], frozen_stages=frozen, out_indices=(2,), num_stages=3)
    )
    net.train()
    ends = (0, 1, *net.ends)
    end = ends[frozen + 1]
    for i, layers in enumerate(net.features):
        assert layers.training == (i >= end)
        for weight in layers.parameters():
            assert weight.requires_grad == (i >= end)
    assert len(net.features) == net.ends[-1]


@pytest.mark.parametrize('norm_eval', [True, False])
def test_batch_norm_keeps_its_statistics(norm_eval):
    net = MODELS.build(dict(NETS['mobilenet_v3'], norm_eval=norm_eval))
    net.train()
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert all(norm.training != norm_eval for norm in norms)
    assert net.features[2].training


def test_stochastic_depth_grows_over_the_whole_network():
    cfg = dict(NETS['convnext'], drop_path_rate=0.5, num_stages=3,
               out_indices=(2,))  # fmt: skip
    net = MODELS.build(cfg)
    rates = [b.drop_path.drop_prob for s in net.features[1::2] for b in s]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    stage = MODELS.build(dict(type='mmps.BackboneStage', backbone=cfg))
    assert stage.layers[1][0].drop_path.drop_prob == 0.5


@pytest.mark.parametrize('name', NETS)
@pytest.mark.parametrize(
    'option',
    [
        dict(num_stages=5),
        dict(num_stages=3),
        dict(num_stages=2, out_indices=(2,)),
    ],
)
def test_stages_that_are_not_there(name, option):
    with pytest.raises(ValueError, match='has 4 stages; got'):
        MODELS.build(dict(NETS[name], **option))


def test_sizes_are_the_papers():
    """Table 9 of ConvNeXt and Table 3 of MobileNetV3, less classifiers."""
    base = dict(depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024))
    for cfg, classifier, millions in (
        (dict(type='mmps.ConvNeXt'), 768 * 1002 + 1000, 28.6),
        (dict(type='mmps.ConvNeXt', depths=base['depths']),
         768 * 1002 + 1000, 50.2),
        (dict(type='mmps.ConvNeXt', **base), 1024 * 1002 + 1000, 88.6),
        (NETS['mobilenet_v3'], 961 * 1280 + 1281 * 1000, 5.5),
    ):  # fmt: skip
        net = MODELS.build(dict(cfg))
        num = sum(p.numel() for p in net.parameters()) + classifier
        assert round(num / 1e6, 1) == millions

"""Rules that turn published weights into those of the configs."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from torch import nn

from mmps.apis import get_model
from mmps.checkpoints.published import FAMILIES, convert, recognise
from mmps.checkpoints.published.changes import (
    identity_memory,
    person_deltas,
    person_first,
    projection_level,
)
from mmps.checkpoints.published.rules import Rule, apply_rules
from mmps.checkpoints.reading import load_state, read_checkpoint, weights_of
from mmps.registry import MODELS
from mmps.utils.errors import UsageError

from published_weights import listed_weights


def test_the_longest_prefix_counts_and_copies_are_made():
    state = {
        'a.x': torch.tensor(1), 'a.b.x': torch.tensor(2),
        'a.b.y': torch.tensor(3), 'c.x': torch.tensor(4),
    }  # fmt: skip
    rules = (
        Rule('a.', 'A.'),
        Rule('a.b.', ('B1.', 'B2.'), lambda g: {k: -v for k, v in g.items()}),
        Rule('c.', None),
    )
    converted, left_out = apply_rules(state, rules)
    assert {key: int(value) for key, value in converted.items()} == {
        'A.x': 1, 'B1.x': -2, 'B1.y': -3, 'B2.x': -2, 'B2.y': -3,
    }  # fmt: skip
    assert left_out == ['c.x']


def test_deltas_of_the_person():
    """Equal to the published layers on any feature."""
    torch.manual_seed(0)
    linear, norm = nn.Linear(6, 8), nn.BatchNorm1d(8)
    norm(torch.randn(20, 8))
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    theirs = nn.Sequential(linear, norm).eval()
    with DefaultScope.overwrite_default_scope('mmdet'):
        head = MODELS.build(
            dict(type='mmps.SearchBBoxHead', in_channels=6, roi_feat_size=1)
        ).eval()
    new = person_deltas(theirs.state_dict())
    missing, unexpected = head.load_state_dict(new, strict=False)
    assert not unexpected
    assert all(key.startswith('classifier.') for key in missing)
    x = torch.randn(5, 6)
    with torch.no_grad():
        torch.testing.assert_close(
            head(x[:, :, None, None])[1], theirs(x)[:, 4:]
        )
    plain = person_deltas(linear.state_dict())
    assert plain.keys() == {
        f'fc_{axis}.{name}'
        for axis in ('horizontal', 'vertical')
        for name in ('weight', 'bias')
    }


@pytest.mark.parametrize('wrapped', [False, True])
def test_projection(wrapped):
    """Its bias goes into the norm's mean."""
    torch.manual_seed(0)
    linear, norm = nn.Linear(6, 4), nn.BatchNorm1d(4)
    norm(torch.randn(20, 4))
    theirs = nn.Sequential(linear, norm).eval()
    state = theirs.state_dict()
    if wrapped:
        state = {key.replace('1.', '1.bn2d.'): v for key, v in state.items()}
    before = {key: value.clone() for key, value in state.items()}
    ours = MODELS.build(
        dict(type='mmps.LinearProjection', in_channels=[6], embed_dims=4)
    ).eval()
    ours.load_state_dict(projection_level(0)(state))
    x = torch.randn(5, 6)
    with torch.no_grad():
        torch.testing.assert_close(ours([x]), theirs(x))
    assert all(torch.equal(state[key], before[key]) for key in state)


def test_classifier_and_memory():
    rows = torch.arange(6.0).reshape(2, 3)
    assert person_first({'weight': rows})['weight'].tolist() == [
        [3, 4, 5], [0, 1, 2],
    ]  # fmt: skip
    lut = F.normalize(torch.randn(3, 4), dim=1).half()
    lut[1] = 0
    new = identity_memory(dict(lut=lut, cq=torch.zeros(2, 4).half()))
    memory = MODELS.build(
        dict(type='mmps.IdentityMemory', embed_dims=4, queue_size=2)
    )
    memory.load_state_dict(new)
    assert memory.prototypes.dtype == torch.float32
    torch.testing.assert_close(memory.prototypes, lut.float())
    assert memory.prototypes_filled.tolist() == [True, False, True]
    assert not memory.queue_filled.any()
    assert memory.raw_person_ids.tolist() == [-1] * 3


FILES = {
    'seqnet': 'seqnet', 'nae': 'nae', 'naeplus': 'nae-plus',
    'naeplusfuse': 'nae-plus-fused', 'hoim': 'hoim', 'oimnetpp': 'oimnetpp',
    'oimnetppp': 'oimnetpp', 'coat': 'coat', 'seqnext': 'seqnext',
    'seqnext_r50': 'seqnext-r50',
}  # fmt: skip


# Weights under a second name.
SEQNEXT = (
    'roi_heads.box_head.', 'roi_heads.gfn.', 'gfn.query', 'gfn.reid_loss.',
)  # fmt: skip


@pytest.mark.parametrize(('name', 'family'), FILES.items())
def test_every_weight_of_a_published_model(name, family):
    """It is used, or named as left out; and the config lacks none."""
    state = listed_weights(name)
    # Some lists have the queue of CUHK-SYSU.
    for key in ('roi_heads.reid_loss.cq', 'roi_heads.reid_loss.cq_omega'):
        if key in state:
            state[key] = state[key][:500]
    assert [f.name for f in recognise(state)] == [family]
    before = {key: value.clone() for key, value in state.items()}
    imported = convert(state)
    assert (imported.family.name, imported.dataset) == (family, 'prw')
    unused = {
        'seqnet': (),
        # Weights that are listed twice, and layers that are never called.
        'coat': (
            'roi_heads.box_head.', 'roi_heads.box_predictor.',
            'roi_heads.box_head_1st.conv0.',
            *(f'roi_heads.box_head_{n}.transformer_encoder.{part}.'
              for n in ('1st', '2nd', '3rd')
              for part in ('output_linear', 'blocks.scale1.0.transformer',
                           'blocks.scale2.0.transformer')),
        ),
        'oimnetpp': (
            'roi_heads.box_head.', 'roi_heads.faster_rcnn_predictor.',
        ),
        'seqnext': SEQNEXT,
        'seqnext-r50': SEQNEXT,
    }.get(family, ('roi_heads.box_predictor.cls_score.',))  # fmt: skip
    assert sorted(imported.left_out) == sorted(
        key for key in state if key.startswith(unused)
    )
    model = get_model(imported.config)
    load_state(model, dict(imported.state), name)
    memory = model.roi_head.reid_head.memory
    assert len(memory.prototypes) == 482
    lut = before[FAMILIES[family].table]
    assert torch.equal(memory.prototypes, lut.float())
    assert all(torch.equal(state[key], before[key]) for key in state)


def test_windows_of_coat():
    """A linear layer and a fold are a transposed convolution and a bias."""
    torch.manual_seed(0)
    linear = nn.Linear(6, 9 * 4)
    (rule,) = [
        rule
        for rule in FAMILIES['coat'].rules
        if rule.source.startswith('roi_heads.box_head_2nd.')
        and rule.source.endswith('scale2.0.vec2patch.embedding.')
    ]
    new = rule(linear.state_dict())
    target = 'roi_head.shared_heads.1.branches.1.'
    assert rule.target == target
    x = torch.randn(2, 6, 5, 4)
    theirs = F.fold(
        linear(x.flatten(2).transpose(1, 2)).transpose(1, 2),
        (5, 4), kernel_size=3, padding=1,
    )  # fmt: skip
    ours = F.conv_transpose2d(x, new[f'{target}windows.weight'], padding=1)
    bias = F.conv_transpose2d(
        torch.ones(1, 1, 5, 4), new[f'{target}window_bias'], padding=1
    )
    torch.testing.assert_close(ours + bias, theirs)


def test_later_torchvision_has_another_key():
    state = listed_weights('seqnet', rows=5532)
    for name in ('weight', 'bias'):
        state[f'rpn.head.conv.0.0.{name}'] = state.pop(f'rpn.head.conv.{name}')
    imported = convert(state)
    assert imported.config == 'seqnet-release_r50_cuhk-sysu'
    assert 'rpn_head.rpn_conv.bias' in imported.state


def test_what_is_not_known_is_one_line():
    with pytest.raises(UsageError, match='no published checkpoint .* known'):
        convert({'a.b': torch.zeros(1)})
    state = listed_weights('seqnet')
    state['roi_heads.new.weight'] = torch.zeros(1)
    with pytest.raises(UsageError, match=r'SeqNet.* 1 .*roi_heads\.new'):
        convert(state)
    with pytest.raises(UsageError, match=r'not NAE.*embedding_head\.rescaler'):
        convert(listed_weights('hoim'), family='nae')
    with pytest.raises(UsageError, match='not NAE: another version'):
        convert(listed_weights('naeplusfuse'), family='nae')


@pytest.mark.parametrize(
    ('rows', 'dataset', 'message'),
    [
        (5532, 'prw', '5532 rows, those of cuhk-sysu; expected 482 or 483'),
        (482, 'cuhk-sysu', '482 rows, those of prw; expected 5532 for'),
        (100, None, '100 rows; expected 482 or 483 for prw or 5532 for cuhk'),
    ],
)
def test_rows_of_another_data_set(rows, dataset, message):
    """A file that is called otherwise than it is."""
    with pytest.raises(UsageError, match=message):
        convert(listed_weights('nae', rows), dataset=dataset)


def test_names_of_families():
    for name, family in FAMILIES.items():
        assert family.name == name
        assert family.configs.keys() == {'prw', 'cuhk-sysu'}


def test_a_model_refuses_them_and_names_the_importer(tmp_path):
    state = listed_weights('hoim')
    model = nn.Linear(1, 1)
    with pytest.raises(UsageError, match=r'HOIM.*import_published\.py'):
        load_state(model, dict(state_dict=state), 'hoim.pth')


@pytest.mark.parametrize('container', ['model', 'state_dict', None])
@pytest.mark.parametrize('wrapped', [False, True])
def test_containers(tmp_path, container, wrapped):
    """Also as Python 2 has pickled them, beside an optimizer."""
    state = {'a': torch.ones(2, dtype=torch.half), 'b': torch.zeros(1)}
    stored = {f'module.{k}' if wrapped else k: v for k, v in state.items()}
    data = {container: stored, 'epoch': 3} if container else stored
    torch.save(data, tmp_path / 'a.pth', _use_new_zipfile_serialization=False)
    found = weights_of(read_checkpoint(tmp_path / 'a.pth'))
    assert found.keys() == state.keys()
    assert torch.equal(found['a'], state['a'])

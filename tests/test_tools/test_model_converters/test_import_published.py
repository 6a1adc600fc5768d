"""A published file, through the tool, into a model."""

import sys

import pytest
import torch

from mmps.apis import get_model
from mmps.checkpoints.published import FAMILIES
from mmps.checkpoints.reading import hash_weights, read_checkpoint

from bad_checkpoints import write_bad_checkpoint
from published_weights import listed_weights

TOOL = 'model_converters/import_published.py'


@pytest.fixture
def run(tool, monkeypatch, capsys):
    """Run the tool in this process; gives its lines."""
    module = tool(TOOL)
    monkeypatch.setattr(module.console, 'width', 200)

    def call(*words):
        monkeypatch.setattr(sys, 'argv', [TOOL, *map(str, words)])
        module.main()
        return capsys.readouterr().out.splitlines()

    call.console = module.console
    return call


@pytest.fixture
def source(tmp_path):
    path = tmp_path / 'checkpoint.pth'
    data = dict(
        model=listed_weights('nae'), epoch=17, optimizer=dict(state={})
    )
    torch.save(data, path, _use_new_zipfile_serialization=False)
    return path


def test_from_a_file_to_a_model(run, source):
    seen, left_out, written, config = run(source)
    assert seen == f'{source}: NAE on prw, 354 weights'
    unused = 'roi_heads.box_predictor.cls_score.* (2 weights)'
    assert left_out == f'left out: {unused}, epoch, optimizer'
    out = source.with_name('nae-release_r50_prw.pth')
    assert written.startswith(f'{out}  ')
    assert config == 'config: nae-release_r50_prw'
    model = get_model('nae-release_r50_prw', out)
    meta = read_checkpoint(out)['meta']
    assert meta['weights_sha256'] == hash_weights(model.state_dict())
    assert meta['imported'] == dict(
        family='nae', dataset='prw', config='nae-release_r50_prw',
        file='checkpoint.pth',
    )  # fmt: skip


def test_queues_of_other_sizes(run, tmp_path):
    """HOIM's list has the queue of CUHK-SYSU; the tool says what to set."""
    source, out = tmp_path / 'hoim.pth', tmp_path / 'new' / 'ours.pth'
    torch.save(listed_weights('hoim'), source)
    *_, written, config = run(source, '--out', out)
    assert written.startswith(f'{out}  ')
    option = 'model.roi_head.reid_head.memory.queue_size=5000'
    assert config == f'config: hoim-release_r50_prw --cfg-options {option}'


def test_queues_of_several_stages(run, tmp_path):
    """They have one config."""
    source = tmp_path / 'coat.pth'
    state = listed_weights('coat')
    for stage in ('2nd', '3rd'):
        state[f'roi_heads.reid_loss_{stage}.cq'] = torch.ones(70, 256)
    torch.save(state, source)
    *_, config = run(source)
    option = 'model.roi_head.reid_head.memory.queue_size=70'
    assert config == f'config: coat-release_r50_prw --cfg-options {option}'


def test_versions_that_their_files_do_not_tell_apart(run, tmp_path):
    """PCNet's standard and fast ones on CUHK-SYSU differ in testing alone."""
    source = tmp_path / 'pcnet.pth'
    weights = listed_weights('pcnet_cuhk_retinanet_R-50-FPN_P5', 5532)
    torch.save(dict(model=weights, iteration=60000), source)
    seen, others, *_, config = run(source)
    assert seen == f'{source}: PCNet on cuhk-sysu, 385 weights'
    assert others == 'as well, with --family: pcnet-light'
    assert config == 'config: pcnet-release_r50_cuhk-sysu'
    _, others, *_, config = run(source, '--family', 'pcnet-light')
    assert others == 'as well, with --family: pcnet'
    assert config == 'config: pcnet-release-light_r50_cuhk-sysu'


def test_list_in_a_usual_terminal(run, monkeypatch):
    monkeypatch.setattr(run.console, 'width', 80)
    rows = [line.split() for line in run('--list')]
    assert '482 or 483' in ' '.join(rows[1])
    configs = [c for f in FAMILIES.values() for c in f.configs.values()]
    assert [row[-1] for row in rows[1:]] == configs


def test_nothing_is_overwritten(cli, source, tmp_path):
    """The published file may have the name that ours gets."""
    named = source.with_name('nae-release_r50_prw.pth')
    source.rename(named)
    content = named.read_bytes()
    for options in ((), ('--out', named)):
        status, text = cli(TOOL, named, *options)
        assert (status, 'is there already' in text) == (2, True)
    assert named.read_bytes() == content
    assert cli(TOOL, named, '--out', tmp_path / 'ours.pth')[0] == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ((), 'expected a FILE, or --list'),
        (('{source}', '--dataset', 'cuhk-sysu'), 'has 482 rows, those of prw'),
        (('{source}', '--family', 'hoim'), 'not HOIM: '),
        (('{unsafe}',), 'refused'),
        (('{missing}',), 'does not exist'),
        (('{own}',), 'own.pth: is one of mmps already, for the config CONFIG'),
    ],
)
def test_errors_are_one_line(cli, source, tmp_path, options, message):
    marker = tmp_path / 'run'
    write_bad_checkpoint('legacy-form', tmp_path / 'unsafe.pth', marker)
    meta = dict(mmps_version='1', imported=dict(config='CONFIG'))
    torch.save(dict(state_dict={}, meta=meta), tmp_path / 'own.pth')
    names = dict(
        source=source,
        own=tmp_path / 'own.pth',
        unsafe=tmp_path / 'unsafe.pth',
        missing=tmp_path / 'missing.pth',
    )
    status, text = cli(TOOL, *(word.format(**names) for word in options))
    assert status == 2
    assert message in text
    assert len(text.splitlines()) == 1
    assert not marker.exists()

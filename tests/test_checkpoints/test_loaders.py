"""Tests of mmengine's checkpoint loading from files, addresses and caches."""

import contextlib
import http.server
import sys
import threading
import types

import pytest
import torch
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

from mmps.checkpoints import loaders
from mmps.checkpoints.loaders import load_weights, set_checkpoint_loaders
from mmps.checkpoints.reading import hash_weights
from mmps.checkpoints.safetensors_file import safetensors_bytes
from mmps.utils.errors import UsageError

from bad_checkpoints import KINDS, write_bad_checkpoint


class Linear(BaseModule):
    def __init__(self, checkpoint=None):
        super().__init__(
            checkpoint and dict(type='Pretrained', checkpoint=str(checkpoint))
        )
        self.linear = nn.Linear(2, 2)


@pytest.fixture(autouse=True)
def strict():
    before = dict(CheckpointLoader._schemes)
    set_checkpoint_loaders()
    yield
    CheckpointLoader._schemes.clear()
    CheckpointLoader._schemes.update(before)


@pytest.fixture
def state():
    return Linear().state_dict()


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder behind a server, and a cache of its own."""
    folder = tmp_path / 'site'
    folder.mkdir()
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(folder))

        def log_message(self, form, *args):
            asked.append(form % args)

    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'home'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    yield types.SimpleNamespace(
        folder=folder,
        asked=asked,
        url=f'http://127.0.0.1:{server.server_port}',
        cache=tmp_path / 'home' / 'hub' / 'checkpoints',
        home=tmp_path / 'mmengine',
    )
    server.shutdown()
    thread.join()
    server.server_close()


def same(model, state):
    return all(torch.equal(v, state[k]) for k, v in model.state_dict().items())


def test_no_loader_of_mmengine_is_left():
    assert CheckpointLoader._schemes
    for prefix, loader in CheckpointLoader._schemes.items():
        assert loader.__module__ == loaders.__name__, prefix


def test_loaders_of_others_are_replaced(tmp_path):
    CheckpointLoader.register_scheme('mine://', torch.load)
    set_checkpoint_loaders()
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    with pytest.raises(UsageError, match='mine is not supported'):
        CheckpointLoader.load_checkpoint(f'mine://{tmp_path}/a.pth')


@pytest.mark.parametrize('kind', KINDS)
def test_init_cfg_and_load_checkpoint_are_strict(tmp_path, kind, state):
    marker, path = tmp_path / 'ran', tmp_path / 'a.pth'
    write_bad_checkpoint(kind, path, marker, dict(state_dict=state))
    with pytest.raises(UsageError, match='refused'):
        Linear(path).init_weights()
    with pytest.raises(UsageError, match='refused'):
        load_checkpoint(Linear(), str(path))
    assert not marker.exists()


def test_trust_lasts_until_it_is_taken_back(tmp_path, state):
    marker, path = tmp_path / 'ran', tmp_path / 'a.pth'
    write_bad_checkpoint('exec-in-meta', path, marker, dict(state_dict=state))
    set_checkpoint_loaders(trust=True)
    model = Linear(path)
    with pytest.warns(UserWarning, match='code in it is run'):
        model.init_weights()
    assert same(model, state)
    assert marker.exists()
    set_checkpoint_loaders()
    with pytest.raises(UsageError, match='refused'):
        Linear(path).init_weights()


def test_text_in_a_checkpoint_is_not_run_as_a_config(tmp_path):
    """Runner.resume takes meta.config for one."""
    data = dict(state_dict={}, meta=dict(config='raise SystemExit', epoch=1))
    torch.save(data, tmp_path / 'a.pth')
    read = CheckpointLoader.load_checkpoint(str(tmp_path / 'a.pth'))
    assert read['meta'] == dict(epoch=1)


def test_safetensors_of_a_file(tmp_path, state, monkeypatch):
    path = tmp_path / 'a.safetensors'
    path.write_bytes(safetensors_bytes(state, {}))
    model = Linear(path)
    model.init_weights()
    assert same(model, state)
    monkeypatch.setenv('HOME', str(tmp_path))
    model = Linear('~/a.safetensors')
    model.init_weights()
    assert same(model, state)
    with pytest.raises(UsageError, match='b.pth does not exist'):
        load_checkpoint(Linear(), str(tmp_path / 'b.pth'))


def test_http_is_cached_and_strict(site, tmp_path, state, capsys):
    torch.save(dict(state_dict=state), site.folder / 'a.pth')
    (site.folder / 'a.safetensors').write_bytes(safetensors_bytes(state, {}))
    for name in ('a.pth', 'a.safetensors', 'a.pth'):
        model = Linear(f'{site.url}/{name}')
        model.init_weights()
        assert same(model, state)
    assert len(site.asked) == 2
    assert {p.name for p in site.cache.iterdir()} == {'a.pth', 'a.safetensors'}
    marker = tmp_path / 'ran'
    for kind in KINDS:
        path = site.folder / f'{kind}.pth'
        write_bad_checkpoint(kind, path, marker, dict(state_dict=state))
        url = f'{site.url}/{kind}.pth'
        with pytest.raises(UsageError, match='refused') as info:
            load_checkpoint(Linear(), url)
        # Both the address and the file in the cache.
        assert url in str(info.value)
        assert str(site.cache / path.name) in str(info.value)
    assert not marker.exists()


def test_all_weights_of_an_address(site, state, capfd):
    torch.save(dict(state_dict=state), site.folder / 'a.pth')
    url = f'{site.url}/a.pth'
    model = Linear()
    assert load_weights(model, url) == hash_weights(state)
    assert same(model, state)
    assert capfd.readouterr().out == ''  # programs print answers there
    with pytest.raises(UsageError) as info:
        load_weights(nn.Linear(2, 2), url)
    assert f'checkpoint {url}: does not fit the config' in str(info.value)


def test_what_cannot_be_downloaded_leaves_nothing(site):
    for url in (f'{site.url}/none.pth', 'http://127.0.0.1:9/none.pth'):
        with pytest.raises(UsageError, match=r'none.pth cannot be downloaded'):
            load_checkpoint(Linear(), url)
    assert not list(site.cache.iterdir())


@pytest.mark.parametrize('works', [True, False])
@pytest.mark.parametrize('first', [True, False])
def test_one_process_downloads_for_all(site, state, monkeypatch, works, first):
    """The others wait, and fail by themselves where it has failed."""
    if works:
        torch.save(dict(state_dict=state), site.folder / 'a.pth')
    seen = []
    monkeypatch.setattr(loaders, 'is_main_process', lambda: first)
    monkeypatch.setattr(
        loaders, 'barrier', lambda: seen.append(len(site.asked))
    )
    with contextlib.nullcontext() if works else pytest.raises(UsageError):
        load_checkpoint(Linear(), f'{site.url}/a.pth')
    # How much had been asked for when the others were met.
    assert len(seen) == 1
    assert (seen[0] > 0) == first
    assert site.asked


def test_names_of_model_zoos(site, state, monkeypatch):
    """Where their files would be downloaded to, they are already."""
    site.cache.mkdir(parents=True)
    for name, file in (
        ('torchvision://resnet50', 'resnet50-0676ba61.pth'),
        ('modelzoo://resnet18', 'resnet18-f37072fd.pth'),
        (
            'open-mmlab://detectron2/resnet50_caffe',
            'resnet50_msra-5891d200.pth',
        ),
        (  # deprecated, another name's
            'openmmlab://resnet50_caffe',
            'resnet50_caffe-788b5fa3.pth',
        ),
    ):
        for path in site.cache.iterdir():
            path.unlink()
        torch.save(dict(state_dict=state), site.cache / file)
        model = Linear(name)
        model.init_weights()
        assert same(model, state)


def test_backbones_of_mmcls(site, state, monkeypatch):
    prefixed = {f'backbone.{k}': v for k, v in state.items()}
    torch.save(
        dict(state_dict={**prefixed, 'head.fc': torch.ones(1)}),
        site.folder / 'v.pth',
    )
    urls = dict(v=f'{site.url}/v.pth')
    monkeypatch.setattr(loaders, 'get_mmcls_models', lambda: urls)
    read = CheckpointLoader.load_checkpoint('mmcls://v')
    assert read['state_dict'].keys() == state.keys()
    model = Linear('mmcls://v')
    model.init_weights()
    assert same(model, state)


def test_own_models_below_the_home_of_mmengine(site, state):
    site.home.mkdir()
    (site.home / 'open_mmlab.json').write_text('{"own": "own.pth"}')
    torch.save(state, site.home / 'own.pth')
    model = Linear('open-mmlab://own')
    model.init_weights()
    assert same(model, state)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('open-mmlab://nothing', 'there is no such model'),
        ('mmcls://nothing', 'there is no such model'),
        ('pavi://some/model', 'pavi is not supported; download the file'),
    ],
)
def test_unknown_names(site, name, message):
    with pytest.raises(UsageError, match=f'{name}.*{message}'):
        load_checkpoint(Linear(), name)


def test_newer_names_of_torchvision_need_it(site, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    with pytest.raises(UsageError, match='torchvision alone, which is not'):
        load_checkpoint(Linear(), 'torchvision://resnet50.default')
    monkeypatch.setattr(
        loaders,
        'get_torchvision_models',
        lambda: {'new': f'{site.url}/none.pth'},
    )
    with pytest.raises(UsageError, match='none.pth cannot be downloaded'):
        load_checkpoint(Linear(), 'torchvision://new')
    with pytest.raises(UsageError, match='there is no such model'):
        load_checkpoint(Linear(), 'torchvision://newer')


def test_object_storage(tmp_path, state, monkeypatch):
    """Through mmengine's backend; its client is of one company."""
    monkeypatch.setitem(sys.modules, 'petrel_client', None)
    with pytest.raises(UsageError, match='s3://b/a.pth: .*petrel_client'):
        load_checkpoint(Linear(), 's3://b/a.pth')

    class Client:
        def __init__(self, **_):
            pass

        def contains(self, path):
            return self.file(path).is_file()

        def Get(self, path):
            return self.file(path).read_bytes()

        def file(self, path):
            return tmp_path / path.rpartition('s3://b/')[2]

    package = types.ModuleType('petrel_client')
    package.client = types.SimpleNamespace(Client=Client)
    monkeypatch.setitem(sys.modules, 'petrel_client', package)
    (tmp_path / 'a').write_bytes(safetensors_bytes(state, {}))
    for name in ('s3://b/a', 'petrel://b/a', 'cluster:s3://b/a'):
        model = Linear(name)
        model.init_weights()
        assert same(model, state)
    with pytest.raises(UsageError, match='s3://b/c does not exist'):
        load_checkpoint(Linear(), 's3://b/c')
    for kind in KINDS:
        write_bad_checkpoint(kind, tmp_path / 'bad', tmp_path / 'ran')
        with pytest.raises(UsageError, match=r's3://b/bad: .*refused'):
            load_checkpoint(Linear(), 's3://b/bad')
    assert not (tmp_path / 'ran').exists()

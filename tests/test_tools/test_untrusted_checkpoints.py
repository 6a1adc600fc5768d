"""Tests of all tools on checkpoints that carry code."""

import contextlib
import itertools
import re
import shutil
from pathlib import Path

import pytest
import torch
from mmdet.models import RetinaNet
from mmdet.registry import MODELS
from mmengine.runner import CheckpointLoader, load_checkpoint
from mmengine.runner.checkpoint import load_from_local

from mmps.apis.person_searcher import PersonSearcher
from mmps.checkpoints.reading import read_checkpoint
from mmps.utils.config import load_config
from mmps.utils.errors import UsageError

from bad_checkpoints import KINDS, write_bad_checkpoint

NUMBERS = itertools.count()
ROOT = Path(__file__).resolve().parents[2]
# A toy whose weights come from somewhere before training.
PRETRAINED = """
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmps_toy import ToyModel

@MODELS.register_module(force=True)
class PretrainedToy(ToyModel):
    def __init__(self, checkpoint):
        super().__init__()
        self.init_cfg = dict(type='Pretrained', checkpoint=checkpoint)
"""


@pytest.fixture(autouse=True)
def careless():
    """mmengine's own loading, which no tool may rely on."""
    set_back()


def set_back():
    CheckpointLoader.register_scheme('', load_from_local, force=True)


@pytest.fixture
def toy(trained, monkeypatch):
    """The trained toy, for tools that run in this process."""
    monkeypatch.chdir(trained.folder)
    monkeypatch.syspath_prepend(trained.folder)
    (trained.folder / 'mmps_toy_pretrained.py').write_text(PRETRAINED)
    good = trained.folder / 'work_dirs' / 'toy' / 'epoch_1.pth'
    return read_checkpoint(good)


def toy_config(folder, **settings):
    lines = [f'{key} = {value}' for key, value in settings.items()]
    # mmengine knows runs by this name and the second they start in.
    config = folder / f'config{next(NUMBERS)}.py'
    text = (
        Path('toy.py')
        .read_text()
        .replace('by_epoch=True, max_epochs=1', 'by_epoch=True, max_epochs=2')
    )
    config.write_text('\n'.join([text, f"work_dir = '{folder}/work'", *lines]))
    return config


def resume(folder, bad):
    return 'train.py', toy_config(folder), '--resume', bad


def resume_newest(folder, bad):
    (folder / 'work').mkdir(exist_ok=True)
    (folder / 'work' / 'epoch_1.pth').write_bytes(bad.read_bytes())
    return 'train.py', toy_config(folder), '--resume'


def load_from(folder, bad):
    return 'train.py', toy_config(folder, load_from=f"'{bad}'")


def init_cfg(folder, bad):
    model = f"dict(type='PretrainedToy', checkpoint='{bad}')"
    imports = "dict(imports=['mmps_toy', 'mmps_toy_pretrained'])"
    settings = dict(model=model, custom_imports=imports)
    return 'train.py', toy_config(folder, **settings)


def try_out(folder, bad):
    return 'test.py', toy_config(folder), bad


def publish(folder, bad):
    return 'model_converters/publish_model.py', bad, folder / 'out'


TOY_TOOLS = (resume, resume_newest, load_from, init_cfg, try_out, publish)


@pytest.mark.parametrize('kind', KINDS)
def test_mmengine_alone_would_run_it(tmp_path, kind):
    bad, marker = tmp_path / 'bad.pth', tmp_path / 'ran'
    write_bad_checkpoint(kind, bad, marker)
    with contextlib.suppress(Exception):
        CheckpointLoader.load_checkpoint(str(bad))
    # Newer versions of torch refuse archives of this form, by chance.
    assert marker.exists() or kind == 'tar'


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('use', TOY_TOOLS)
def test_refused(cli, toy, tmp_path, use, kind):
    bad, marker = tmp_path / 'bad.pth', tmp_path / 'ran'
    write_bad_checkpoint(kind, bad, marker, toy)
    status, err = cli(*use(tmp_path, bad))
    assert status == 2
    last = err.splitlines()[-1]
    assert last.startswith('error: ')
    assert 'refused: reading that can run code; --trust-checkpoint' in last
    assert 'Traceback' not in err
    assert not marker.exists()
    assert not list(tmp_path.glob('out*'))


@pytest.mark.parametrize('use', TOY_TOOLS)
def test_trusted_with_a_warning(cli, toy, tmp_path, use):
    bad, marker = tmp_path / 'bad.pth', tmp_path / 'ran'
    write_bad_checkpoint('gadget-in-meta', bad, marker, toy)
    with pytest.warns(UserWarning, match='it is trusted, and code in it'):
        status, err = cli(*use(tmp_path, bad), '--trust-checkpoint')
    assert status == 0, err
    assert marker.exists()
    if use is publish:
        for path in tmp_path.glob('out-*'):
            assert read_checkpoint(path)['meta']['epoch'] == 1
    set_back()
    # The next call has to be told again.
    marker.unlink()
    shutil.rmtree(tmp_path / 'work', ignore_errors=True)
    assert cli(*use(tmp_path, bad))[0] == 2
    assert not marker.exists()


def test_resuming_runs_no_text_as_a_config(cli, toy, tmp_path):
    """mmengine's Runner takes meta.config for one."""
    marker = tmp_path / 'ran'
    text = f"open({str(marker)!r}, 'w').close()\ngpu_ids = [0]\n"
    bad = dict(toy, meta=dict(toy['meta'], config=text))
    torch.save(bad, tmp_path / 'bad.pth')
    status, err = cli(*resume(tmp_path, tmp_path / 'bad.pth'))
    assert status == 0, err
    assert not marker.exists()


@pytest.fixture
def search_calls(search_run, tmp_path):
    """Calls of the tools that need a real model, without a checkpoint."""
    image = sorted(search_run.images.glob('*.jpg'))[0]
    gallery, config = tmp_path / 'gallery', search_run.config

    def calls(bad):
        model = ('--model', config, bad)
        points = ('--out-dir', tmp_path / 'points')
        yield 'analysis_tools/vis_points.py', config, bad, *points
        yield 'search.py', 'index', gallery, image, *model
        yield 'search.py', 'query', gallery, image, *model
        yield 'search.py', 'serve', gallery, *model, '--port', 0

    good = ('--model', config, search_run.checkpoint, '--det-thr', 0)
    return calls, ('search.py', 'index', gallery, image, *good)


def test_search_and_drawing_refuse(cli, search_run, search_calls, tmp_path):
    calls, index = search_calls
    assert cli(*index)[0] == 0
    marker, bad = tmp_path / 'ran', tmp_path / 'bad.pth'
    data = read_checkpoint(search_run.checkpoint)
    write_bad_checkpoint('gadget-in-meta', bad, marker, data)
    for call in calls(bad):
        set_back()
        status, err = cli(*call)
        assert status == 2
        assert 'refused: reading that can run code' in err
        assert not marker.exists()
    assert not (tmp_path / 'points').exists()
    cfg = load_config(search_run.config)
    for kind in ('exec-in-meta', 'legacy-form', 'tar'):
        write_bad_checkpoint(kind, bad, marker, data)
        with pytest.raises(UsageError, match='refused'):
            PersonSearcher(cfg, bad)
        assert not marker.exists()


def test_search_and_drawing_trust(cli, search_run, search_calls, tmp_path):
    calls, _ = search_calls
    marker, bad = tmp_path / 'ran', tmp_path / 'bad.pth'
    data = read_checkpoint(search_run.checkpoint)
    write_bad_checkpoint('gadget-in-meta', bad, marker, data)
    *calls, serve = calls(bad)
    for call in calls:
        with pytest.warns(UserWarning, match='it is trusted'):
            status, err = cli(*call, '--trust-checkpoint')
        assert status == 0, err
        assert marker.exists()
        marker.unlink()
    # The model is read before the port is looked at.
    with pytest.warns(UserWarning, match='it is trusted'):
        status, err = cli(*serve, '--trust-checkpoint')
    assert 'port: expected 1 to 65535' in err
    assert marker.exists()


def test_models_that_load_while_they_are_built(search_run, tmp_path):
    """As mmdet's with a teacher do."""

    @MODELS.register_module(force=True)
    class WithTeacher(RetinaNet):
        def __init__(self, teacher, **kwargs):
            super().__init__(**kwargs)
            load_checkpoint(self, str(teacher))

    bad, marker = tmp_path / 'bad.pth', tmp_path / 'ran'
    write_bad_checkpoint('exec-in-meta', bad, marker)
    cfg = load_config(search_run.config)
    cfg.model.update(type='WithTeacher', teacher=str(bad))
    with pytest.raises(UsageError, match='refused'):
        PersonSearcher(cfg)
    assert not marker.exists()
    with pytest.warns(UserWarning, match='it is trusted'):
        PersonSearcher(cfg, trust_checkpoint=True)
    assert marker.exists()


LOADS = r'init_detector|\.init_weights\(|load_checkpoint\(|torch\.load'
STRICT = r'build_runner|set_checkpoint_loaders|read_checkpoint|PersonModel'


def test_no_tool_loads_by_other_means():
    """Also of tools that do not exist yet."""
    files = [*ROOT.glob('tools/**/*.py'), *ROOT.glob('mmps/**/*.py')]
    assert len(files) > 100
    for file in files:
        text = file.read_text()
        if file.parts[-3] == 'tools' and re.search(LOADS, text):
            assert re.search(STRICT, text), file
        if file.name not in ('plain_load.py', 'reading.py'):
            assert not re.search(r'torch\.load\(|weights_only', text), file

"""Tests of the steps between a config and its Runner."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.config import config as config_module
from mmengine.logging import MMLogger
from mmengine.model import BaseModel, BaseModule
from mmengine.optim import OptimWrapper
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn
from yapf.yapflib import yapf_api

from mmps.engine import launch
from mmps.utils.errors import UsageError

from process_group import WARM


@pytest.fixture(autouse=True)
def cpu(monkeypatch):
    """Without CUDA, and without the marks of a launcher."""
    monkeypatch.setattr(launch, 'has_cuda', lambda: False)
    monkeypatch.delenv('RANK', raising=False)


def with_cuda(monkeypatch):
    monkeypatch.setattr(launch, 'has_cuda', lambda: True)


@pytest.mark.parametrize(
    ('given', 'configured', 'expected'),
    [
        ('a', 'b', 'a'),
        (None, 'b', 'b'),
        (None, None, os.path.join('work_dirs', 'pcnet')),
    ],
)
def test_work_dir(given, configured, expected):
    cfg = Config(dict(work_dir=configured))
    launch.set_work_dir(cfg, given, 'configs/x/pcnet.py')
    assert cfg.work_dir == expected


def test_writable_folder(tmp_path):
    launch.writable_folder(tmp_path / 'a' / 'b', '--out')
    assert (tmp_path / 'a' / 'b').is_dir()
    (tmp_path / 'file').touch()
    with pytest.raises(UsageError, match='^--out .*file/x: Not a directory'):
        launch.writable_folder(tmp_path / 'file' / 'x', '--out')


def test_folder_without_permission(tmp_path, monkeypatch):
    monkeypatch.setattr(os, 'access', lambda path, mode: mode != os.W_OK)
    with pytest.raises(UsageError, match='^--out .*: no permission to write'):
        launch.writable_folder(tmp_path, '--out')


class Model(BaseModel):
    def forward(self, inputs, data_samples=None, mode='tensor'):
        return inputs


def test_own_runner_of_a_config(tmp_path, monkeypatch):
    class OwnRunner(Runner):
        pass

    monkeypatch.setitem(RUNNERS._module_dict, 'OwnRunner', OwnRunner)
    cfg = Config(dict(work_dir=str(tmp_path), model=dict(type=Model)))
    cfg.runner_type = 'OwnRunner'
    assert type(launch.build_runner(cfg)) is OwnRunner


def test_text_of_a_config_is_formatted_once(tmp_path, monkeypatch):
    formatted = []

    def format_code(text, **_):
        formatted.append(text)
        return f'# formatted\n{text}', True

    for module in (yapf_api, config_module):
        monkeypatch.setattr(module, 'FormatCode', format_code, raising=False)
    cfg = Config(
        dict(
            work_dir=str(tmp_path),
            model=dict(type=Model),
            visualizer=dict(
                type='Visualizer',
                vis_backends=[dict(type='LocalVisBackend')],
            ),
        )
    )
    runner = launch.build_runner(cfg)
    runner.call_hook('before_run')
    runner.visualizer.add_config(runner.cfg)
    text = f'# formatted\n{formatted[0]}'
    assert runner.cfg.pretty_text == text
    dumped = [file.read_text() for file in tmp_path.rglob('*.py')]
    assert dumped == [text, text]
    assert len(formatted) == 1
    runner.cfg.model.more = 5
    assert 'more=5' in runner.cfg.pretty_text
    assert len(formatted) == 2


@pytest.mark.parametrize(
    ('kind', 'amp', 'cuda', 'expected'),
    [
        ('OptimWrapper', False, False, 'OptimWrapper'),
        ('OptimWrapper', True, False, 'mmps.BF16OptimWrapper'),
        ('AmpOptimWrapper', False, False, 'mmps.BF16OptimWrapper'),
        ('OptimWrapper', False, True, 'OptimWrapper'),
        ('OptimWrapper', True, True, 'AmpOptimWrapper'),
        ('AmpOptimWrapper', True, True, 'AmpOptimWrapper'),
        ('mmengine.OptimWrapper', True, True, 'AmpOptimWrapper'),
        ('mmengine.AmpOptimWrapper', False, False, 'mmps.BF16OptimWrapper'),
        (OptimWrapper, True, True, 'AmpOptimWrapper'),
        ('mmps.BF16OptimWrapper', True, True, 'mmps.BF16OptimWrapper'),
    ],
)
def test_amp(kind, amp, cuda, expected, monkeypatch):
    if cuda:
        with_cuda(monkeypatch)
    cfg = Config(dict(optim_wrapper=dict(type=kind, clip_grad=None)))
    if str(kind).endswith('AmpOptimWrapper'):
        cfg.optim_wrapper.update(dtype='bfloat16', loss_scale=1.0)
    launch.set_amp(cfg, amp)
    wrapper = cfg.optim_wrapper
    assert wrapper.type == expected
    if expected == 'mmps.BF16OptimWrapper':
        assert 'loss_scale' not in wrapper
        assert 'dtype' not in wrapper
    elif kind == 'AmpOptimWrapper':
        assert wrapper.loss_scale == 1.0
    elif expected == 'AmpOptimWrapper':
        assert wrapper.loss_scale == 'dynamic'


@pytest.mark.parametrize('key', ['custom_hooks', 'default_hooks'])
@pytest.mark.parametrize(
    'name', ['SyncBuffersHook', 'mmengine.SyncBuffersHook']
)
def test_sync_buffers_hook_is_refused(key, name):
    hook = dict(type=name)
    hooks = [hook] if key == 'custom_hooks' else dict(sync=hook)
    with pytest.raises(UsageError, match='SyncBuffersHook'):
        launch.set_launcher(Config({key: hooks}), 'none')


def test_one_process_needs_nothing():
    cfg = Config(dict(custom_hooks=[dict(type='EMAHook')]))
    launch.set_launcher(cfg, 'none')
    assert cfg.launcher == 'none'
    assert 'model_wrapper_cfg' not in cfg


def test_processes_have_to_be_started():
    with pytest.raises(UsageError, match='tools/dist_train.sh'):
        launch.set_launcher(Config(), 'pytorch')
    with pytest.raises(UsageError, match='slurm needs CUDA'):
        launch.set_launcher(Config(), 'slurm')


def test_processes_on_cpus(monkeypatch):
    """Gloo is initialised first, and the wrapper uses no device."""
    backends = []
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(
        torch.distributed, 'init_process_group', backends.append
    )
    cfg = Config(
        dict(
            find_unused_parameters=True,
            model_wrapper_cfg=dict(device_ids=[0], static_graph=True),
        )
    )
    launch.set_launcher(cfg, 'pytorch')
    assert backends == ['gloo']
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=True,
        static_graph=True,
    )


def test_processes_on_gpus_are_left_to_mmengine(monkeypatch):
    with_cuda(monkeypatch)
    monkeypatch.setenv('RANK', '0')
    monkeypatch.setattr(torch.distributed, 'init_process_group', pytest.fail)
    cfg = Config()
    launch.set_launcher(cfg, 'pytorch')
    assert cfg.launcher == 'pytorch'
    assert 'model_wrapper_cfg' not in cfg


def threads():
    """How many threads a process group has."""
    names = [x.read_text() for x in Path('/proc/self/task').glob('*/comm')]
    return sum('gloo' in name for name in names)


def train():
    run = Config()
    run._model = nn.parallel.DistributedDataParallel(nn.Linear(2, 1))
    run._model(torch.ones(1, 2)).sum().backward()
    run._itself = run


def one_of_one(port, file):
    os.environ.update(
        RANK='0',
        LOCAL_RANK='0',
        WORLD_SIZE='1',
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=port,
        CUDA_VISIBLE_DEVICES='',
    )
    launch.set_launcher(Config(), 'pytorch')
    train()
    before = threads()
    launch.close_processes()
    file.write_text(f'{before} {threads()}')


@pytest.mark.skipif(not os.path.isdir('/proc/self/task'), reason='Linux only')
def test_closing_ends_every_thread(free_port, tmp_path):
    """One that freed a tensor during Python's shutdown would abort it."""
    file = tmp_path / 'threads'
    process = WARM.Process(target=one_of_one, args=(free_port, file))
    process.start()
    process.join()
    assert process.exitcode == 0
    before, after = map(int, file.read_text().split())
    assert after == 0
    if torch.__version__ < '2.4':  # a TorchVersion
        pytest.skip('threads of the group have no names in this torch')
    assert before > 0


class Small(BaseModule):
    def __init__(self) -> None:
        super().__init__(init_cfg=dict(type='Normal', layer='Linear'))
        self.linear = nn.Linear(2, 3)


def test_init_weights_is_quiet_and_still_initialises(monkeypatch):
    lines = []
    logger = MMLogger('test-launch')
    monkeypatch.setattr(logger, 'info', lines.append)
    monkeypatch.setattr(
        MMLogger, 'get_current_instance', classmethod(lambda cls: logger)
    )
    loud, model = Small(), Small()
    loud.init_weights()
    assert len(lines) == 2  # one for each parameter
    before = model.linear.weight.clone()
    launch.quiet_init_weights(model)
    model.init_weights()
    assert len(lines) == 2
    assert not torch.equal(before, model.linear.weight)
    pickle.loads(pickle.dumps(model))

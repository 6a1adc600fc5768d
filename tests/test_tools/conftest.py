"""A model, data and config so small that a tool runs in seconds."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from process_group import start_program

ROOT = Path(__file__).resolve().parents[2]

TOY = """
import os
import signal

import torch
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS
from torch import nn
from torch.utils.data import Dataset


@DATASETS.register_module()
class ToyData(Dataset):
    METAINFO = dict(classes=('person',))

    def __init__(self, root='.', num=8, worker='lives'):
        self.worker = worker
        if root != '.':
            raise ValueError(f'{root} is not there')
        self.num = num
        self.metainfo = self.METAINFO

    def __len__(self):
        return self.num

    def __getitem__(self, i):
        if self.worker == 'dies':
            os.kill(os.getpid(), signal.SIGKILL)
        if self.worker == 'fails':
            raise OSError(f'frames/{i}.jpg: not a whole image')
        return dict(inputs=torch.full((3,), float(i)), data_samples=i)


@MODELS.register_module()
class ToyModel(BaseModel):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1)

    def forward(self, inputs, data_samples, mode='tensor'):
        y = self.linear(torch.stack(list(inputs)))
        if mode == 'loss':
            return dict(loss=y.float().square().mean())
        return [dict(value=float(v)) for v in y]


@METRICS.register_module()
class ToyMetric(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [x['value'] for x in data_samples]

    def compute_metrics(self, results):
        return dict(count=float(len(results)))
"""

CONFIG = """
custom_imports = dict(imports=['mmps_toy'], allow_failed_imports=False)
default_scope = 'mmengine'
model = dict(type='ToyModel')
data = dict(type='ToyData', root='.')
train_dataloader = dict(
    dataset=data, sampler=dict(type='DefaultSampler', shuffle=True),
    batch_size=2, num_workers=0)
test_dataloader = dict(
    dataset=data, sampler=dict(type='DefaultSampler', shuffle=False),
    batch_size=2, num_workers=0)
val_dataloader = test_dataloader
train_cfg = dict(by_epoch=True, max_epochs=1)
val_cfg = dict()
test_cfg = dict()
test_evaluator = dict(type='ToyMetric')
val_evaluator = test_evaluator
optim_wrapper = dict(optimizer=dict(type='SGD', lr=1e-3))
auto_scale_lr = dict(enable=False, base_batch_size=4)
default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
"""


# A small PCNet after two steps, its weights averaged as they go.
SEARCH = """
_base_ = '{root}/configs/pcnet/pcnet_r18_scenes.py'
model = dict(test_cfg=dict(score_thr=0.0, max_per_img=6))
loader = dict(
    num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{data}'))
train_dataloader = dict(batch_size=2, **loader)
val_dataloader = dict(batch_size=2, **loader)
test_dataloader = val_dataloader
train_cfg = dict(max_iters=2, val_interval=9)
custom_hooks = [*_base_.custom_hooks, dict(type='EMAHook', momentum=0.5)]
default_hooks = dict(checkpoint=dict(save_best=None))
visualizer = dict(vis_backends=[])
work_dir = '{work}'
"""


class Toy:
    """A folder with the toy config, where the tools are run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / 'mmps_toy.py').write_text(TOY)
        self.config = folder / 'toy.py'
        self.config.write_text(CONFIG)
        self.env = {
            **os.environ,
            'PYTHONPATH': f'{folder}:{ROOT}',
            'OMP_NUM_THREADS': '1',
            'PYTHON': sys.executable,
        }
        self.env.pop('MMPS_TRACEBACK', None)

    def run(self, tool: str, *args: object) -> subprocess.CompletedProcess:
        """Run a tool, Python or shell, in the folder."""
        command = [str(ROOT / 'tools' / tool), *map(str, args)]
        if tool.endswith('.py'):
            command.insert(0, sys.executable)
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
        )

    def run_warm(
        self, tool: str, *args: object
    ) -> subprocess.CompletedProcess:
        """Run a Python tool in a process that has imported the frameworks."""
        argv = [str(ROOT / 'tools' / tool), *map(str, args)]
        with TemporaryDirectory() as folder:
            log = Path(folder) / 'log'
            process = start_program(argv, self.env, self.folder, log)
            process.join()
            err = log.with_suffix('.err')
            return subprocess.CompletedProcess(
                argv, process.exitcode, log.read_text(), err.read_text()
            )

    def log(self, work_dir: str) -> str:
        """Return the text of the last log in a work dir."""
        logs = sorted((self.folder / work_dir).glob('*/*.log'))
        return logs[-1].read_text()


@pytest.fixture(scope='session')
def make_toy(tmp_path_factory) -> Callable[[], Toy]:
    return lambda: Toy(tmp_path_factory.mktemp('toy'))


@pytest.fixture(scope='session')
def trained(make_toy) -> Toy:
    """After one epoch of training, work_dirs/toy/epoch_1.pth."""
    toy = make_toy()
    done = toy.run('train.py', 'toy.py', '--amp', '--seed', 7)
    assert done.returncode == 0, done.stderr
    # Read now: tests that use this run later write logs of their own.
    toy.stdout, toy.train_log = done.stdout, toy.log('work_dirs/toy')
    return toy


class SearchRun(NamedTuple):
    """A config of a person-search model, and its training's checkpoint."""

    config: Path
    checkpoint: Path
    images: Path


@pytest.fixture(scope='session')
def search_run(tmp_path_factory) -> SearchRun:
    """After two steps of training on a few scenes."""
    from mmps.engine.launch import build_runner
    from mmps.utils.config import load_config
    from mmps.utils.part_imports import import_parts

    from small_sets import write_scenes

    folder = tmp_path_factory.mktemp('search_run')
    data = write_scenes(folder / 'scenes', size=(384, 216), heights=(0.2, 0.6))
    config, work = folder / 'search.py', folder / 'work'
    config.write_text(SEARCH.format(root=ROOT, data=data, work=work))
    import_parts()
    build_runner(load_config(config)).train()
    images = data / 'frames'
    return SearchRun(config, work / 'iter_2.pth', images)

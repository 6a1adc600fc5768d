"""Tests of trainings that are killed and resumed, against a whole one."""

import multiprocessing
import random
import re
import runpy
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict

from mmps.checkpoints.reading import read_checkpoint
from mmps.utils.config import finder_test_cfg

from process_group import WARM
from tiny_methods import TINY_METHODS

ROOT = Path(__file__).parents[2]
STEPS = 8
STARTED = 'Checkpoints will be saved'

# One of each kind of state, and at how many moments it is killed: towers and
# maps, queries, RoIs that are drawn, several stages with an identity
# classifier, running statistics of prototypes, a table of past scenes.
METHODS = {
    'pcnet': 20,
    'alignps': 6,
    'pstr': 6,
    'oim': 6,
    'coat': 6,
    'oimnetpp': 6,
    'seqnext-gfn': 3,
}
QUICK = 'seqnext-gfn'

CONFIG = """
_base_ = '{root}/configs/oim/oim_r18_scenes.py'
train_dataloader = dict(
    batch_size=2, num_workers=1, dataset=dict(data_root='{data}'))
val_dataloader = dict(num_workers=0, persistent_workers=False,
    dataset=dict(data_root='{data}'))
test_dataloader = val_dataloader
val_evaluator = dict(det_thr=0.0, score_thr=0.0)
train_cfg = dict(max_iters={steps}, val_interval=4)
param_scheduler = [dict(type='LinearLR', start_factor=0.1, by_epoch=False,
    begin=0, end={steps})]
optim_wrapper = dict(optimizer=dict(lr=3e-3))
default_hooks = dict(
    checkpoint=dict(interval=2, max_keep_ckpts={keep}),
    logger=dict(interval=1))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(vis_backends=vis_backends)
custom_hooks = [
    hook for hook in _base_.custom_hooks
    if hook['type'] != 'mmps.ChannelsLastHook']
model = dict(_delete_=True, **{model})
"""


def tiny_model(name: str) -> ConfigDict:
    """A tiny method that has something to draw and to search."""
    model = TINY_METHODS[name]()
    for part in dicts_of(model):
        if 'num_ids' in part:
            part.num_ids = 'auto'
        if 'sampler' in part:
            part.sampler.num = 16
    # Its own boxes are not where the people are yet, of whatever seed.
    finder_test_cfg(model.test_cfg).use_gt_boxes = True
    if name == 'seqnext-gfn':
        model.roi_head.gallery_filter.memory = dict(
            type='mmps.SceneMemory', num_scenes=4
        )
    return model


def dicts_of(node: object) -> Iterator[ConfigDict]:
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for part in node:
            yield from dicts_of(part)


# Runs tools/train.py, and dies at the n-th time of a place while it saves.
CHILD = """
import os, runpy, signal, sys
from mmps.engine.hooks import checkpoint_hook as hook
from mmps.utils import files

place, left = {place!r}, {nth}
os.dup2(os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
os.dup2(1, 2)
sys.argv = {argv!r}

def die_in_time():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

def half(path, write):
    if left == 1:
        with open(str(path) + files.TEMPORARY, 'wb') as file:
            write(file)
            file.truncate(file.tell() // 2)
    die_in_time()
    files.write_whole(path, write)

if place == 'half written':
    hook.write_whole = half
elif place == 'not renamed':
    rename = os.replace
    os.replace = lambda *paths: (die_in_time(), rename(*paths))
elif place == 'nothing removed':
    remove = hook._LateRemoval.remove_now
    hook._LateRemoval.remove_now = lambda self: (die_in_time(), remove(self))
runpy.run_path(sys.argv[0], run_name='__main__')
"""

# The moments within a save; the others are moments of the clock.
SAVING = [
    ('half written', 1),
    ('half written', 2),
    ('half written', 3),
    ('not renamed', 1),
    ('not renamed', 2),
    ('nothing removed', 2),
    ('nothing removed', 3),
]


class Run:
    """Trainings of one config in one work dir, forked from a warm process."""

    def __init__(
        self, method: str, folder: Path, data: Path, keep: int = 2
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.config = folder / 'tiny.py'
        self.config.write_text(
            CONFIG.format(
                root=ROOT,
                data=data,
                steps=STEPS,
                keep=keep,
                model=tiny_model(method).to_dict(),
            )
        )
        self.work_dir = folder / 'work'
        self.log = folder / 'log'

    def start(self, place: str = '', nth: int = 0) -> multiprocessing.Process:
        argv = [ROOT / 'tools/train.py', self.config, '--resume=auto']
        argv += ['--work-dir', self.work_dir]
        script = self.folder / 'child.py'
        script.write_text(
            CHILD.format(
                place=place,
                nth=nth,
                log=str(self.log),
                argv=[str(word) for word in argv],
            )
        )
        process = WARM.Process(target=runpy.run_path, args=(str(script),))
        process.start()
        return process

    def start_training(self) -> multiprocessing.Process:
        """Returns when the first step is near."""
        self.log.touch()
        before = self.log.read_text().count(STARTED)
        process = self.start()
        while process.is_alive() and (
            self.log.read_text().count(STARTED) == before
        ):
            time.sleep(0.02)
        return process

    def finish(self) -> float:
        """Returns the seconds that its steps took."""
        process = self.start_training()
        start = time.monotonic()
        process.join()
        assert process.exitcode == 0, self.log.read_text()[-3000:]
        return time.monotonic() - start

    def checkpoints(self) -> dict[int, dict]:
        """Every checkpoint of a step; each must be whole."""
        return {
            int(re.search(r'\d+', file.name)[0]): read_checkpoint(file)
            for file in self.work_dir.glob('iter_*.pth')
        }


def whole_run(method: str, folder: Path, data: Path) -> Run:
    """A run that nothing disturbs, and all its checkpoints."""
    run = Run(method, folder, data, keep=-1)
    run.seconds = run.finish()
    run.reference = run.checkpoints()
    assert sorted(run.reference) == list(range(2, STEPS + 1, 2))
    return run


def assert_equal(got: object, expected: object, where: str = '') -> None:
    """Bit for bit."""
    assert type(got) is type(expected), where
    if isinstance(got, dict):
        assert list(got) == list(expected), where
        for key in got:
            assert_equal(got[key], expected[key], f'{where}.{key}')
    elif isinstance(got, list):
        assert len(got) == len(expected), where
        for i, (a, b) in enumerate(zip(got, expected)):
            assert_equal(a, b, f'{where}[{i}]')
    elif isinstance(got, torch.Tensor):
        assert torch.equal(got, expected), where
    else:
        assert got == expected, where


def assert_same_training(got: dict, expected: dict) -> None:
    """Weights with the memory, optimizer, schedule, and losses so far."""
    for part in ('state_dict', 'optimizer', 'param_schedulers'):
        assert_equal(got[part], expected[part], part)
    for key in ('iter', 'seed'):
        assert got['meta'][key] == expected['meta'][key]
    assert figures(got, 'train/loss') == figures(expected, 'train/loss')


def figures(checkpoint: dict, prefix: str) -> dict[str, list]:
    scalars = checkpoint['message_hub']['log_scalars']
    return {
        key: buffer._log_history.tolist()
        for key, buffer in scalars.items()
        if key.startswith(prefix)
    }


def validation_figures(run: Run) -> list[str]:
    return re.findall(
        r'Iter\(val\).*?(person_search/.*?) +(?:data_)?time',
        run.log.read_text(),
    )


@pytest.mark.parametrize(
    ('method', 'times'),
    [
        pytest.param(*case, marks=() if case[0] == QUICK else pytest.mark.slow)
        for case in METHODS.items()
    ],
)
def test_killed_again_and_again(method, times, tmp_path, scenes):
    whole = whole_run(method, tmp_path / 'whole', scenes)
    run = Run(method, tmp_path / 'killed', scenes)
    # The seed of the whole run; from then on the checkpoints carry it.
    seed = whole.reference[STEPS]['meta']['seed']
    run.config.write_text(
        run.config.read_text() + f'randomness = dict(seed={seed})\n'
    )
    clock = random.Random(0)
    moments = [('clock', 0)] * max(times - len(SAVING), times // 3) + SAVING
    clock.shuffle(moments)
    moments = moments[:times]
    while moments:
        place, nth = moments.pop()
        if place == 'clock':
            process = run.start_training()
            process.join(clock.uniform(0, whole.seconds))
            process.kill()
        else:
            process = run.start(place, nth)
        process.join()
        for step, checkpoint in run.checkpoints().items():
            assert_same_training(checkpoint, whole.reference[step])
        if process.exitcode == 0:
            # It came through: once more, from the start.
            moments.append((place, nth))
            for file in run.work_dir.glob('*.pth'):
                file.unlink()
    run.finish()
    last = run.checkpoints()
    assert sorted(last) == [STEPS - 2, STEPS]
    assert_same_training(last[STEPS], whole.reference[STEPS])
    assert not list(run.work_dir.glob('*.tmp'))
    best = [
        [file.name for file in r.work_dir.glob('best*')] for r in (run, whole)
    ]
    assert len(best[0]) == 1
    assert best[0] == best[1]
    hubs = [
        r.checkpoints()[STEPS]['message_hub']['runtime_info']
        for r in (run, whole)
    ]
    assert hubs[0]['best_score'] == hubs[1]['best_score'] > 0
    # Whatever validation was made up for: the same figures.
    assert set(validation_figures(run)) == set(validation_figures(whole))

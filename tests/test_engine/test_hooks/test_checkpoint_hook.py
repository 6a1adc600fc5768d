"""Tests of CheckpointHook: a whole checkpoint at every moment."""

import errno
import shutil
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric

from mmps.checkpoints.reading import read_checkpoint
from mmps.engine.hooks import checkpoint_hook
from mmps.utils.errors import UsageError
from mmps.utils.files import write_whole


class Figures(BaseMetric):
    """Gives the figures of a list, one validation after the other."""

    def __init__(self, figures):
        super().__init__(prefix='toy')
        self.figures = iter(figures)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        figure = next(self.figures)
        return dict(mAP=figure, top1=figure)


# What the best checkpoints are the best by.
BEST = pytest.mark.parametrize(
    'best', [['toy/mAP'], ['toy/mAP', 'toy/top1']], ids=len
)


def best_names(best, step):
    return [f'best_{key.replace("/", "_")}_iter_{step}.pth' for key in best]


def validating(figures):
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=dict(type='NoisyPeople'),
        sampler=dict(type='DefaultSampler', shuffle=False),
    )
    return dict(
        val_dataloader=loader,
        val_cfg=dict(),
        val_evaluator=[Figures(figures)],
        val_interval=2,
    )


def names(folder: Path) -> list[str]:
    return sorted(f.name for f in folder.glob('*.pth*'))


@pytest.mark.parametrize('keep', [1, 2])
def test_the_old_goes_after_the_new_is_there(
    tmp_path, make_runner, toy_model, monkeypatch, keep
):
    there = []

    def write(path, content):
        # What a crash in the middle of this write would leave.
        there.append(names(tmp_path))
        for name in there[-1]:
            read_checkpoint(tmp_path / name)
        write_whole(path, content)

    monkeypatch.setattr(checkpoint_hook, 'write_whole', write)
    options = dict(max_keep_ckpts=keep)
    make_runner(toy_model, tmp_path, steps=8, checkpoint=options).train()
    assert [len(n) for n in there] == [0, 1, *[keep] * 2]
    assert len(names(tmp_path)) == keep


def full_disk(monkeypatch, fails):
    """Writes fail as on a full disk while `fails(path)`."""

    def write(path, content):
        def half(file):
            file.write(b'half')
            raise OSError(errno.ENOSPC, 'No space left on device')

        write_whole(path, half if fails(Path(path).name) else content)

    monkeypatch.setattr(checkpoint_hook, 'write_whole', write)


def test_full_disk_in_between_costs_one_checkpoint(
    tmp_path, make_runner, toy_model, monkeypatch, caplog
):
    seen = {}

    def fails(name):
        seen[name] = names(tmp_path)
        return name == 'iter_6.pth'

    full_disk(monkeypatch, fails)
    runner = make_runner(
        toy_model, tmp_path, steps=8, checkpoint=dict(max_keep_ckpts=2)
    )
    errors = []
    monkeypatch.setattr(runner.logger, 'error', errors.append)
    runner.train()
    assert seen['iter_8.pth'] == ['iter_2.pth', 'iter_4.pth']
    assert names(tmp_path) == ['iter_4.pth', 'iter_8.pth']
    assert len(errors) == 1
    assert "No space left on device: '" in errors[0]
    assert 'iter_6.pth' in errors[0]
    assert (tmp_path / 'last_checkpoint').read_text().endswith('iter_8.pth')


def test_full_disk_at_the_end_is_an_error(
    tmp_path, make_runner, toy_model, monkeypatch
):
    full_disk(monkeypatch, lambda name: name == 'iter_6.pth')
    runner = make_runner(toy_model, tmp_path, steps=6)
    with pytest.raises(UsageError, match='could not be written.*iter_6.pth'):
        runner.train()
    assert names(tmp_path) == ['iter_2.pth', 'iter_4.pth']


@BEST
def test_full_disk_does_not_cost_the_best(
    tmp_path, make_runner, toy_model, monkeypatch, best
):
    full_disk(monkeypatch, lambda name: name == 'best_toy_mAP_iter_4.pth')
    runner = make_runner(
        toy_model,
        tmp_path,
        steps=8,
        checkpoint=dict(save_best=best, rule='greater'),
        **validating([0.1, 0.3, 0.2, 0.15]),
    )
    errors = []
    monkeypatch.setattr(runner.logger, 'error', errors.append)
    runner.train()
    assert len(errors) == 1
    # 0.2 beats the best that was saved, 0.1; 0.3 is not remembered as saved.
    found = [name for name in names(tmp_path) if 'best' in name]
    assert found == best_names(best, 6)
    scores = [
        value
        for key, value in runner.message_hub.runtime_info.items()
        if key.startswith('best_score')
    ]
    assert scores == [0.2] * len(best)


@BEST
def test_a_moved_run_touches_nothing_of_the_old_place(
    tmp_path, make_runner, toy_model, best
):
    options = dict(save_best=best, rule='greater', max_keep_ckpts=1)
    old, new = tmp_path / 'old', tmp_path / 'new'

    def train(folder, steps, figures, **kwargs):
        runner = make_runner(
            toy_model,
            folder,
            ['ResumeHook'],
            steps=steps,
            checkpoint=options,
            **validating(figures),
            **kwargs,
        )
        runner.train()

    train(old, 2, [0.1])
    shutil.copytree(old, new)
    train(new, 4, [0.2], resume=True, load_from=str(new / 'iter_2.pth'))
    assert names(old) == [*best_names(best, 2), 'iter_2.pth']
    assert names(new) == [*best_names(best, 4), 'iter_4.pth']


def test_leftovers_of_a_killed_run_go(tmp_path, make_runner, toy_model):
    options = dict(max_keep_ckpts=2)
    make_runner(toy_model, tmp_path, steps=4, checkpoint=options).train()
    # Killed while it wrote iter_6, and before that had removed nothing.
    shutil.copy(tmp_path / 'iter_2.pth', tmp_path / 'iter_0.pth')
    (tmp_path / 'iter_6.pth.tmp').write_bytes(b'half')
    last = torch.load(tmp_path / 'iter_4.pth', weights_only=False)
    last['message_hub']['runtime_info']['outdated_ckpts'] = [
        '/elsewhere/iter_0.pth'
    ]
    torch.save(last, tmp_path / 'iter_4.pth')
    make_runner(
        toy_model,
        tmp_path,
        steps=4,
        checkpoint=options,
        resume=True,
        load_from=str(tmp_path / 'iter_4.pth'),
    ).train()
    assert names(tmp_path) == ['iter_2.pth', 'iter_4.pth']

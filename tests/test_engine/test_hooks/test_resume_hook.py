"""Tests of ResumeHook: random numbers by step, and missed validations."""

import copy

import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmengine.registry import DATASETS

from mmps.utils.seeding import drawing_from


class Counter(BaseMetric):
    """Counts validations."""

    def __init__(self):
        super().__init__(prefix='toy')
        self.runs = 0

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        self.runs += 1
        return dict(runs=self.runs)


def validating(metric, interval):
    return dict(
        val_dataloader=dict(
            batch_size=4,
            num_workers=0,
            dataset=dict(type='NoisyPeople'),
            sampler=dict(type='DefaultSampler', shuffle=False),
        ),
        val_cfg=dict(),
        val_evaluator=[metric],
        val_interval=interval,
    )


def losses(runner):
    history = runner.message_hub.log_scalars['train/loss']._log_history
    return history.tolist()


@pytest.mark.parametrize('stop', [2, 4])
def test_resumed_equals_whole(tmp_path, make_runner, toy_model, stop):
    """Though validations and foreign draws come in between."""
    parts, whole = toy_model, copy.deepcopy(toy_model)
    run = make_runner(whole, tmp_path / 'a', ['ResumeHook'], steps=6)
    run.train()
    make_runner(parts, tmp_path / 'b', ['ResumeHook'], steps=stop).train()
    torch.rand(100)
    fresh = type(parts)()
    resumed = make_runner(
        fresh,
        tmp_path / 'b',
        ['ResumeHook'],
        steps=6,
        resume=True,
        load_from=str(tmp_path / 'b' / f'iter_{stop}.pth'),
        **validating(Counter(), 3),
    )
    resumed.train()
    for key, value in whole.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[key]), key
    assert losses(resumed) == losses(run)


@pytest.mark.parametrize('workers', [0, 2])
@pytest.mark.parametrize(
    'batches', [None, dict(type='mmps.AspectRatioBatchSampler')]
)
def test_what_was_trained_on_is_not_loaded(
    tmp_path, make_runner, toy_model, monkeypatch, batches, workers
):
    """By no mmengine, though some have fetched ahead when the hook comes."""
    loaded = tmp_path / 'loaded'
    kind = DATASETS.get('NoisyPeople')
    load = kind.__getitem__

    def count(self, index):
        with loaded.open('a') as file:
            file.write(f'{int(index)} ')
        return load(self, index)

    loader = dict(batch_sampler=batches, num_workers=workers)
    whole, parts = toy_model, copy.deepcopy(toy_model)
    monkeypatch.setattr(kind, '__getitem__', count)
    first = make_runner(
        whole, tmp_path / 'a', ['ResumeHook'], steps=10, loader=loader
    )
    first.train()
    indices = loaded.read_text().split()
    loaded.unlink()
    resumed = make_runner(
        parts,
        tmp_path / 'a',
        ['ResumeHook'],
        steps=10,
        loader=loader,
        resume=True,
        load_from=str(tmp_path / 'a' / 'iter_8.pth'),
    )
    resumed.train()
    assert losses(resumed) == losses(first)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, parts.state_dict()[key]), key
    again = loaded.read_text().split()
    if workers:
        # Each has two batches ahead, at the start as well with some.
        assert len(again) <= 2 * (2 + 2 * 4)
    else:
        assert again == indices[16:]


def test_other_seeds_and_steps_draw_otherwise(
    tmp_path, make_runner, toy_model
):
    seen = []
    for seed in (1, 2):
        model = copy.deepcopy(toy_model)
        run = make_runner(
            model, tmp_path / str(seed), ['ResumeHook'], seed=seed
        )
        run.train()
        seen += losses(run)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(
    ('stop', 'begin', 'noted', 'expected'),
    [
        (4, 1, False, 1),  # due and not done
        (4, 1, True, 0),  # done before the interruption
        (2, 1, False, 0),  # not due
        (4, 5, False, 0),  # due, but validating begins later
    ],
)
def test_validation_is_made_up_for(
    tmp_path, make_runner, toy_model, stop, begin, noted, expected
):
    make_runner(toy_model, tmp_path, ['ResumeHook'], steps=stop).train()
    file = tmp_path / f'iter_{stop}.pth'
    if noted:
        saved = torch.load(file, weights_only=False)
        info = saved['message_hub']['runtime_info']
        info['iter_of_last_validation'] = stop
        torch.save(saved, file)
    metric = Counter()
    runner = make_runner(
        toy_model,
        tmp_path,
        ['ResumeHook'],
        steps=5,
        resume=True,
        load_from=str(file),
        **validating(metric, 4),
    )
    runner.train_loop.val_begin = begin
    before_first_step = []
    run_iter = runner.train_loop.run_iter
    runner.train_loop.run_iter = lambda batch: (
        before_first_step.append(metric.runs),
        run_iter(batch),
    )
    runner.train()
    assert before_first_step[0] == expected


def test_validation_after_the_last_step_is_made_up_for(
    tmp_path, make_runner, toy_model
):
    make_runner(toy_model, tmp_path, ['ResumeHook'], steps=6).train()
    metric = Counter()
    runner = make_runner(
        toy_model,
        tmp_path,
        ['ResumeHook'],
        steps=6,
        resume=True,
        load_from=str(tmp_path / 'iter_6.pth'),
        **validating(metric, 4),
    )
    runner.train()
    assert metric.runs == 1


def test_a_plain_index_draws_on(toy_model):
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with drawing_from(3):
        assert torch.rand(()) == expected[0]
    assert torch.rand(()) == expected[1]

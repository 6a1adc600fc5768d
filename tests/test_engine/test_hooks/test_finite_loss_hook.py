"""Tests of FiniteLossHook: a loss that is not finite changes nothing."""

import copy
import os

import pytest
import torch

from mmps.engine.hooks import FiniteLossHook
from mmps.models.memories import SceneMemory

from process_group import run_group
from toy_search import ToySearch, make_runner


def state(model, runner):
    return copy.deepcopy(
        (model.state_dict(), runner.optim_wrapper.state_dict()['state'])
    )


def same(a, b):
    return all(torch.equal(a[0][k], b[0][k]) for k in a[0]) and (
        str(a[1]) == str(b[1])
    )


def test_a_finite_run_is_not_changed(tmp_path, make_runner, toy_model):
    plain = copy.deepcopy(toy_model)
    make_runner(plain, tmp_path / 'a', ['ResumeHook']).train()
    hooks = ['FiniteLossHook', 'ResumeHook']
    make_runner(toy_model, tmp_path / 'b', hooks).train()
    for key, value in plain.state_dict().items():
        assert torch.equal(value, toy_model.state_dict()[key]), key
    assert toy_model.memory.deferred is False
    assert 'parse_losses' not in vars(toy_model)


@pytest.mark.parametrize('term', ['loss_reid', 'loss_far'])
def test_stop_names_terms_and_images(tmp_path, make_runner, toy_model, term):
    expected = copy.deepcopy(toy_model)
    clean = make_runner(
        expected, tmp_path / 'a', ['FiniteLossHook', 'ResumeHook'], steps=3
    )
    clean.train()
    toy_model.spoil = {4: term}
    runner = make_runner(
        toy_model, tmp_path / 'b', ['FiniteLossHook', 'ResumeHook']
    )
    text = rf'iteration 4: {term} not finite for frames/\d+.jpg, frames/\d+'
    with pytest.raises(FloatingPointError, match=text):
        runner.train()
    # What three steps had made of it: weights, optimizer and memory.
    assert same(state(toy_model, runner), state(expected, clean))
    assert toy_model.memory.prototypes_filled.any()


def test_skip_leaves_the_step_out(tmp_path, make_runner, toy_model):
    toy_model.spoil = {3: 'loss_reid'}
    seen = []

    def note(step):
        seen.append((step, state(toy_model, runner)))

    hook = FiniteLossHook('skip', max_skipped=1)
    runner = make_runner(toy_model, tmp_path, [hook, 'ResumeHook'], steps=4)
    loop = runner.train_loop
    run_iter = loop.run_iter
    loop.run_iter = lambda batch: (run_iter(batch), note(loop.iter))
    runner.train()
    states = [s for _, s in seen]
    assert not same(states[0], states[1])
    assert same(states[1], states[2])
    assert not same(states[2], states[3])
    scalars = runner.message_hub.log_scalars
    assert len(scalars['train/loss']._log_history) == 3
    assert runner.message_hub.get_info('skipped_steps') == 1


def test_a_table_of_scenes_waits_too(tmp_path, make_runner, toy_model):
    table = toy_model.scenes = SceneMemory(2, 1, 3)
    toy_model.spoil = {2: 'loss_reid'}
    hook = FiniteLossHook('skip', max_skipped=1)
    runner = make_runner(toy_model, tmp_path, [hook, 'ResumeHook'], steps=2)
    loop, kept = runner.train_loop, []
    run_iter = loop.run_iter

    def step(batch):
        number = torch.tensor([loop.iter])
        ones = torch.ones(1, 1, 3)
        table.update(number, ones[0], ones, number[None])
        run_iter(batch)
        kept.append(table.frames[:-1].tolist())

    loop.run_iter = step
    runner.train()
    assert kept == [[0, -1], [0, -1]]
    assert table.deferred is False


def test_two_are_one_too_many(tmp_path, make_runner, toy_model):
    hooks = ['FiniteLossHook', FiniteLossHook('skip')]
    runner = make_runner(toy_model, tmp_path, hooks)
    with pytest.raises(ValueError, match='the run has two; change the opt'):
        runner.train()


def test_skipping_has_an_end(tmp_path, make_runner, toy_model):
    toy_model.spoil = dict.fromkeys((2, 4, 5), 'loss_far')
    hook = dict(type='mmps.FiniteLossHook', on_nonfinite='skip', max_skipped=2)
    runner = make_runner(toy_model, tmp_path, [hook])
    with pytest.raises(
        FloatingPointError, match='iteration 5: .* 2 steps were left out'
    ):
        runner.train()


def test_accumulated_gradients_survive_a_skipped_step(
    tmp_path, make_runner, toy_model
):
    """Batches 1 and 3 make the step that batches 1 and 2 made before."""
    toy_model.spoil = {2: 'loss_far'}
    hook = FiniteLossHook('skip')
    runner = make_runner(
        toy_model, tmp_path, [hook], steps=3, accumulative_counts=2
    )
    before = toy_model.layer.weight.clone()
    gradients = []
    step = runner.train_loop.run_iter
    weights = []

    def run_iter(batch):
        step(batch)
        grad = toy_model.layer.weight.grad
        gradients.append(None if grad is None else grad.clone())
        weights.append(toy_model.layer.weight.detach().clone())

    runner.train_loop.run_iter = run_iter
    runner.train()
    assert torch.equal(weights[0], before)
    assert torch.equal(weights[1], before)
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(weights[2], before)
    assert toy_model.layer.weight.isfinite().all()


def test_spoilt_weights_are_not_saved(tmp_path, make_runner, toy_model):
    runner = make_runner(toy_model, tmp_path, ['FiniteLossHook'], steps=4)
    loop = runner.train_loop
    run_iter = loop.run_iter

    def spoil(batch):
        if loop.iter == 3:
            runner.optim_wrapper.optimizer.register_step_post_hook(
                lambda *_: toy_model.layer.bias.data.fill_(float('inf'))
            )
        run_iter(batch)

    loop.run_iter = spoil
    with pytest.raises(FloatingPointError, match='4: layer.bias is not fin'):
        runner.train()
    assert [f.name for f in tmp_path.glob('*.pth')] == ['iter_2.pth']


@pytest.mark.parametrize(
    ('options', 'text'),
    [
        (dict(on_nonfinite='ignore'), "'stop' or 'skip', got 'ignore'"),
        (dict(max_skipped=-1), 'max_skipped must be 0 or more, got -1'),
    ],
)
def test_options(options, text):
    with pytest.raises(ValueError, match=text):
        FiniteLossHook(**options)


def train_share(rank, world_size, folder, mode):
    """One of two processes; the loss of the second one is spoilt."""
    os.environ['LOCAL_RANK'] = str(rank)
    model = ToySearch()
    if rank == 1:
        model.spoil = {3: 'loss_far'}
    hook = FiniteLossHook(mode)
    runner = make_runner(
        model,
        folder / str(rank),
        [hook, 'ResumeHook'],
        steps=5,
        launcher='pytorch',
        cfg=dict(
            model_wrapper_cfg=dict(
                type='MMDistributedDataParallel',
                broadcast_buffers=False,
                device_ids=None,
            )
        ),
    )
    error = ''
    try:
        runner.train()
    except FloatingPointError as err:
        error = str(err)
    torch.save(
        dict(state=model.state_dict(), steps=model.steps, error=error),
        folder / f'{rank}.pt',
    )


@pytest.mark.parametrize('mode', ['stop', 'skip'])
def test_processes_agree(tmp_path, mode):
    run_group(2, train_share, tmp_path, mode)
    one, other = (
        torch.load(tmp_path / f'{rank}.pt', weights_only=True)
        for rank in range(2)
    )
    for key, value in one['state'].items():
        assert torch.equal(value, other['state'][key]), key
        assert value.float().isfinite().all()
    assert one['steps'] == other['steps'] == (3 if mode == 'stop' else 5)
    if mode == 'stop':
        assert 'a loss of another process' in one['error']
        assert 'loss_far not finite for frames/' in other['error']
    else:
        assert one['error'] == other['error'] == ''

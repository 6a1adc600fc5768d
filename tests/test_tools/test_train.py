"""Tests of tools/train.py: training, and errors of use."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config


def test_trains_and_says_so(trained):
    folder = trained.folder / 'work_dirs' / 'toy'
    assert (folder / 'epoch_1.pth').is_file()
    log = trained.train_log
    assert 'Epoch(train) [1][4/4]' in trained.stdout
    assert 'seed: 7' in log
    assert 'mmps.BF16OptimWrapper' in log  # --amp without CUDA
    assert 'Initialization information' not in log


@pytest.mark.slow
def test_resume_goes_on(trained):
    done = trained.run_warm(
        *('train.py', 'toy.py', '--work-dir', 'again', '--resume'),
        *('work_dirs/toy/epoch_1.pth', '--cfg-options'),
        *('train_cfg.max_epochs=2',),
    )
    assert done.returncode == 0, done.stderr
    assert 'resumed epoch: 1, iter: 4' in done.stdout
    assert 'Epoch(train) [2][4/4]' in done.stdout
    assert 'Epoch(train) [1]' not in done.stdout
    # Nothing is left to do, but the last checkpoint is found.
    done = trained.run_warm(
        *('train.py', 'toy.py', '--work-dir', 'again', '--resume'),
        *('--cfg-options', 'train_cfg.max_epochs=2'),
    )
    assert done.returncode == 0, done.stderr
    assert 'resumed epoch: 2, iter: 8' in done.stdout


@pytest.mark.slow
def test_two_processes_on_cpus(make_toy, free_port):
    """Started by dist_train.sh, through gloo, with one result."""
    toy = make_toy()
    toy.env['PORT'] = free_port
    done = toy.run('dist_train.sh', 'toy.py', 2)
    assert done.returncode == 0, done.stderr
    log = toy.log('work_dirs/toy')
    assert 'Distributed launcher: pytorch' in log
    assert 'GPU number: 2' in log
    assert 'Epoch(train) [1][2/2]' in log  # 8 samples, 2 x 2 a step


def test_errors_of_data_are_one_line(make_toy):
    toy = make_toy()
    options = ('--cfg-options', 'train_dataloader.dataset.root=nowhere')
    done = toy.run_warm('train.py', 'toy.py', *options)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith('error: nowhere is not there (traceback: ')
    assert 'Traceback' not in done.stderr
    path = line.rpartition('(traceback: ')[2].rstrip(')')
    assert 'ValueError: nowhere is not there' in Path(path).read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ('worker', 'message'),
    [
        ('dies', 'error: a data loading process is gone (DataLoader worker'),
        ('fails', 'error: frames/'),
    ],
)
def test_a_lost_data_loading_process(make_toy, worker, message):
    toy = make_toy()
    options = ['num_workers=1', f'dataset.worker={worker}']
    options = [f'train_dataloader.{option}' for option in options]
    done = toy.run('train.py', 'toy.py', '--cfg-options', *options)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith(message)
    if worker == 'dies':
        assert 'fewer num_workers' in line
        assert '--resume' in line
    else:
        assert '.jpg: not a whole image (traceback: ' in line


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (['none.py'], 'config none.py does not exist'),
        (['mmps::pcnet/none.py'], 'mmps::pcnet/none.py does not exist'),
        (['{c}', '--resume'], 'has no checkpoint to resume from'),
        (['{c}', '--resume', 'x.pth'], 'checkpoint x.pth does not exist'),
        (['{c}', '--auto-scale-lr'], 'no auto_scale_lr.base_batch_size'),
        (['{c}', '--launcher', 'pytorch'], 'not started by torchrun'),
        (['{c}', '--launcher', 'mpi'], 'mpi needs CUDA'),
        (['{c}', '--cfg-options', 'modle.x=1'], "has no key 'modle'"),
        (['{c}', '--cfg-options', 'load_from=y.pth'], 'y.pth does not exist'),
        (['{c}', '--work-dir', '{c}/x'], 'Not a directory'),
        (['{e}'], 'has no training schedule'),
    ],
)
def test_errors_of_use(cli, tmp_path, args, message, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    config, empty = tmp_path / 'c.py', tmp_path / 'e.py'
    config.write_text(
        f"model = dict(type='X')\nwork_dir = '{tmp_path}/work'\n"
        'optim_wrapper = dict()\n'
    )
    empty.write_text('model = dict()\n')
    filled = [a.format(c=config, e=empty) for a in args]
    status, err = cli('train.py', *filled)
    assert status == 2
    assert err.count('\n') == 1
    assert err.startswith('error: ')
    assert message in err
    assert not (tmp_path / 'work').exists()


def test_unknown_option(cli, capsys):
    status, err = cli('train.py', 'c.py', '--resum-from', 'x')
    assert status == 2
    assert 'unrecognized arguments' in err
    assert 'Traceback' not in err


def save_run(path, seed=4):
    run = dict(meta=dict(seed=seed), message_hub={}, optimizer={})
    torch.save(dict(state_dict={}, **run), path)


def test_resume_takes_the_newest_with_its_seed(tool, tmp_path, capsys):
    train = tool('train.py')
    save_run(tmp_path / 'iter_5.pth')
    (tmp_path / 'iter_7.pth').write_bytes(b'half')
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    train.set_resume(cfg, 'last', None)
    assert cfg.resume is True
    assert cfg.load_from == str(tmp_path / 'iter_5.pth')
    assert cfg.randomness.seed == 4
    out = capsys.readouterr().out.splitlines()
    assert 'passed over: ' in out[0]
    assert 'iter_7.pth: cannot be read' in out[0]
    assert out[1] == f'going on from {tmp_path}/iter_5.pth'
    train.set_resume(cfg, 'https://example.org/x.pth', None)
    assert cfg.load_from == 'https://example.org/x.pth'


def test_resume_has_the_seed_of_its_run(tool, tmp_path):
    train = tool('train.py')
    save_run(tmp_path / 'iter_5.pth')
    cfg = Config(dict(work_dir=str(tmp_path)))
    train.set_resume(cfg, str(tmp_path / 'iter_5.pth'), 4)
    with pytest.raises(train.UsageError, match='--seed 3: .* has seed 4'):
        train.set_resume(cfg, 'last', 3)


def test_resume_auto_starts_anew(tool, tmp_path, capsys):
    cfg = Config(dict(work_dir=str(tmp_path / 'new')))
    tool('train.py').set_resume(cfg, 'auto', None)
    assert 'resume' not in cfg
    assert 'training starts anew' in capsys.readouterr().out


def test_no_resume_leaves_the_config(tool):
    cfg = Config(dict(load_from='pretrained.pth'))
    tool('train.py').set_resume(cfg, None, None)
    assert cfg.to_dict() == dict(load_from='pretrained.pth')

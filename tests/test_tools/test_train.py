"""tools/train.py: what it trains, and what it says of wrong use."""

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


def test_resume_goes_on(trained):
    done = trained.run(
        *('train.py', 'toy.py', '--work-dir', 'again', '--resume'),
        *('work_dirs/toy/epoch_1.pth', '--cfg-options'),
        *('train_cfg.max_epochs=2',),
    )
    assert done.returncode == 0, done.stderr
    assert 'resumed epoch: 1, iter: 4' in done.stdout
    assert 'Epoch(train) [2][4/4]' in done.stdout
    assert 'Epoch(train) [1]' not in done.stdout
    # Nothing is left to do, but the last checkpoint is found.
    done = trained.run(
        *('train.py', 'toy.py', '--work-dir', 'again', '--resume'),
        *('--cfg-options', 'train_cfg.max_epochs=2'),
    )
    assert done.returncode == 0, done.stderr
    assert 'resumed epoch: 2, iter: 8' in done.stdout


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
    done = toy.run('train.py', 'toy.py', *options)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith('error: nowhere is not there (traceback: ')
    assert 'Traceback' not in done.stderr
    path = line.rpartition('(traceback: ')[2].rstrip(')')
    assert 'ValueError: nowhere is not there' in Path(path).read_text()


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


def test_resume_finds_the_last(tool, tmp_path):
    train = tool('train.py')
    checkpoint = tmp_path / 'iter_5.pth'
    (tmp_path / 'last_checkpoint').write_text(str(checkpoint))
    cfg = Config(dict(work_dir=str(tmp_path), load_from='pretrained.pth'))
    with pytest.raises(train.UsageError, match='iter_5.pth does not exist'):
        train.set_resume(cfg, 'auto')
    checkpoint.touch()
    train.set_resume(cfg, 'auto')
    assert cfg.resume is True
    assert cfg.load_from is None
    train.set_resume(cfg, str(checkpoint))
    assert cfg.load_from == str(checkpoint)
    train.set_resume(cfg, 'https://example.org/x.pth')
    assert cfg.load_from == 'https://example.org/x.pth'


def test_no_resume_leaves_the_config(tool):
    cfg = Config(dict(load_from='pretrained.pth'))
    tool('train.py').set_resume(cfg, None)
    assert cfg.to_dict() == dict(load_from='pretrained.pth')

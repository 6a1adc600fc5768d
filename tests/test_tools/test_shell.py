"""Tests of the shell scripts: the commands that they run."""

import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / 'tools'


@pytest.fixture
def run(tmp_path):
    """Run a script; returns status, printed arguments and stderr."""
    for name in ('python', 'srun'):
        path = tmp_path / name
        path.write_text('#!/bin/sh\nprintf "%s\\n" "$PYTHONPATH" "$@"\n')
        path.chmod(0o755)

    def call(name: str, *args: str, **env: str):
        done = subprocess.run(
            [str(TOOLS / name), *args],
            env={'PATH': f'{tmp_path}:{os.environ["PATH"]}', **env},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return call


@pytest.mark.parametrize(
    ('name', 'files'),
    [('dist_train.sh', ['c.py']), ('dist_test.sh', ['c.py', 'w.pth'])],
)
def test_torchrun(run, name, files):
    tool = str(TOOLS / name.replace('dist_', '').replace('.sh', '.py'))
    options = ['--cfg-options', 'a=(1, 2)']
    status, lines, _ = run(name, *files, '2', *options, PYTHONPATH='/x')
    assert status == 0
    assert lines[0] == f'{TOOLS}/..:/x'
    assert lines[1:] == [
        *('-m', 'torch.distributed.run', '--nnodes=1', '--node_rank=0'),
        *('--master_addr=127.0.0.1', '--master_port=29500'),
        *('--nproc_per_node=2', tool, *files, '--launcher', 'pytorch'),
        *options,
    ]
    several = dict(NNODES='4', NODE_RANK='1', MASTER_ADDR='h', PORT='5')
    lines = run(name, *files, '8', **several)[1]
    assert lines[3:8] == [
        *('--nnodes=4', '--node_rank=1', '--master_addr=h'),
        *('--master_port=5', '--nproc_per_node=8'),
    ]


@pytest.mark.parametrize(
    ('name', 'tail'),
    [
        (
            'slurm_train.sh',
            ['train.py', 'c.py', '--work-dir', 'x', '--launcher', 'slurm'],
        ),
        ('slurm_test.sh', ['test.py', 'c.py', 'x', '--launcher', 'slurm']),
    ],
)
def test_slurm(run, name, tail):
    env = dict(GPUS='16', SRUN_ARGS='--time 1:00 --quiet')
    status, lines, _ = run(name, 'part', 'job', 'c.py', 'x', '--amp', **env)
    assert status == 0
    assert lines[1:] == [
        *('-p', 'part', '--job-name=job', '--gres=gpu:8', '--ntasks=16'),
        *('--ntasks-per-node=8', '--cpus-per-task=5', '--kill-on-bad-exit=1'),
        *('--time', '1:00', '--quiet', 'python', '-u'),
        *(f'{TOOLS}/{tail[0]}', *tail[1:], '--amp'),
    ]


@pytest.mark.parametrize(
    'name',
    ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh'],
)
def test_usage(run, name):
    status, lines, err = run(name, 'c.py')
    assert status == 2
    assert not lines
    assert err.startswith(f'Usage: tools/{name} ')

"""Tests of the Makefile and of what continuous integration runs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.skipif(
    shutil.which('make') is None, reason='make is not installed'
)

PYTEST = '{}/bin/python -m pytest -n auto --maxprocesses 8 --dist loadfile'


def make(*args: str) -> str:
    """Run make without the flags of the make that may run the tests."""
    env = {k: v for k, v in os.environ.items() if not k.startswith('MAKE')}
    env.pop('MFLAGS', None)
    done = subprocess.run(
        ['make', '-C', str(ROOT), '--no-print-directory', *args],
        capture_output=True,
        text=True,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_lists_the_targets():
    lines = make('help').splitlines()
    assert lines == make().splitlines()
    names = [line.split()[1] for line in lines]
    assert names == [
        'help', 'setup', 'demo', 'test', 'test-slow', 'coverage',
        'test-openmmlab', 'lint', 'docs', 'clean',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ('target', 'command'),
    [
        ('demo', 'v/bin/python tools/demo.py --x'),
        ('test', f"{PYTEST.format('v')} -m 'not slow' --x"),
        ('test-slow', f'{PYTEST.format("v")} -m slow --x'),
        ('lint', 'v/bin/ruff check .'),
    ],
)
def test_targets_set_up_first(target, command):
    lines = make('-n', target, 'VENV=v', 'PYTHON=p', 'ARGS=--x').splitlines()
    assert lines[0] == 'p tools/setup_env.py --venv v'
    assert lines[1] == command


def test_openmmlab_has_an_environment_of_its_own():
    args = ('VENV=v', 'PYTHON=p', 'OPENMMLAB_VENV=o', 'ARGS=--x')
    assert make('-n', 'test-openmmlab', *args).splitlines() == [
        'p tools/setup_env.py --stack openmmlab --venv o',
        f'{PYTEST.format("o")} --x',
    ]
    assert (
        make('-n', 'test-openmmlab')
        .splitlines()[0]
        .endswith(' --venv .venv-openmmlab')
    )


def test_ci_lints_and_tests(tmp_path):
    """Without a terminal, from any folder; a failure ends it."""
    log = tmp_path / 'log'
    fake = tmp_path / 'make'
    fake.write_text(
        f'#!/bin/sh\necho "$PWD $CI $@" >> {log}\n'
        'case " $GOOD " in *" $1 "*) ;; *) exit 1 ;; esac\n'
    )
    fake.chmod(0o755)
    path = f'{tmp_path}:{os.environ["PATH"]}'
    steps = ['lint', 'docs', 'test', 'test-slow']
    for calls, good in enumerate(
        ('none', 'lint', 'lint docs', 'lint docs test'), 1
    ):
        done = subprocess.run(
            [str(ROOT / '.ci' / 'run')],
            env={'PATH': path, 'GOOD': good},
            cwd=tmp_path,
        )
        lines = log.read_text().splitlines()
        assert done.returncode == 1
        expected = [f'{ROOT} true {step}' for step in steps[:calls]]
        assert lines == expected
        log.unlink()

"""Tests of errors of use, which end with one line."""

import argparse
import logging
from collections.abc import Callable

import pytest
from mmengine.logging import MMLogger

from mmps.cli.common import add_config_args, run_cli
from mmps.utils.errors import UsageError


def status(main: Callable) -> int:
    with pytest.raises(SystemExit) as info:
        run_cli(main)
    return info.value.code


def raiser(error: BaseException) -> Callable:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(('returned', 'code'), [(None, 0), (0, 0), (3, 3)])
def test_status_is_what_main_returns(returned, code):
    assert status(lambda: returned) == code


@pytest.mark.parametrize(
    ('error', 'line'),
    [
        (UsageError('no such thing'), 'error: no such thing'),
        (UsageError('two\n  lines'), 'error: two; lines'),
        (UsageError('2 faults:\n a\n\n b\n'), 'error: 2 faults: a; b'),
        (ValueError('bad value'), 'error: bad value (traceback: '),
        (KeyError('name'), "error: unknown key 'name' (traceback: "),
        (KeyError('X is not in it'), 'error: X is not in it (traceback: '),
        (FileNotFoundError(2, 'No such file', 'a.jpg'), "'a.jpg' (traceback"),
        (ValueError(), 'error: ValueError (traceback: '),
        (
            OSError(
                'Caught OSError in DataLoader worker process 0.\n'
                'Original Traceback (most recent call last):\n  File "x"\n'
                'OSError: a.jpg: not a whole image\n'
            ),
            'error: a.jpg: not a whole image (traceback: ',
        ),
    ],
)
def test_error_of_use_is_one_line(error, line, capsys, monkeypatch):
    monkeypatch.delenv('MMPS_TRACEBACK', raising=False)
    assert status(raiser(error)) == 2
    out, err = capsys.readouterr()
    assert out == ''
    assert err.count('\n') == 1
    assert line in err


def test_other_errors_keep_their_traceback():
    with pytest.raises(RuntimeError, match='a bug'):
        run_cli(raiser(RuntimeError('a bug')))


def test_traceback_on_request(monkeypatch):
    monkeypatch.setenv('MMPS_TRACEBACK', '1')
    with pytest.raises(UsageError):
        run_cli(raiser(UsageError('x')))


def test_interrupt(capsys):
    assert status(raiser(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err == 'interrupted\n'


def test_traceback_goes_to_the_log_file(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv('MMPS_TRACEBACK', raising=False)
    log = tmp_path / 'run.log'
    logger = MMLogger('test-cli')
    logger.addHandler(logging.FileHandler(log))
    monkeypatch.setattr(
        MMLogger, 'get_current_instance', classmethod(lambda cls: logger)
    )
    assert status(raiser(ValueError('bad'))) == 2
    assert f'(traceback: {log})' in capsys.readouterr().err
    text = log.read_text()
    assert text.startswith('Traceback')
    assert text.endswith('ValueError: bad\n')
    # The log of a run that is over.
    logger.handlers[-1].close()
    assert status(raiser(ValueError('worse'))) == 2
    assert 'error: worse (traceback: set MMPS' in capsys.readouterr().err
    assert log.read_text() == text


def test_cfg_options_need_an_equals_sign(capsys):
    parser = argparse.ArgumentParser()
    add_config_args(parser)
    args = parser.parse_args(['c.py', '--cfg-options', 'a.b=1', '+c=[2,3]'])
    assert args.config == 'c.py'
    assert args.cfg_options == {'a.b': 1, '+c': [2, 3]}
    with pytest.raises(SystemExit):
        parser.parse_args(['c.py', '--cfg-options', 'a.b'])
    assert "expected key=value, got 'a.b'" in capsys.readouterr().err


@pytest.mark.parametrize(
    'value', ['[1,(2]', '(1,2', '1,2)', '[' * 2000 + ']' * 2000]
)
def test_cfg_options_with_loose_brackets(capsys, value):
    parser = argparse.ArgumentParser()
    add_config_args(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['c.py', '--cfg-options', f'a={value}'])
    err = capsys.readouterr().err
    assert 'error: --cfg-options: ' in err
    assert 'Traceback' not in err

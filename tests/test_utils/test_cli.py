"""Errors of use end with one line; configs are read with clear errors."""

import argparse
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from mmps.utils.cli import (
    UsageError,
    add_config_args,
    existing_file,
    load_config,
    run_cli,
)


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


def test_cfg_options_need_an_equals_sign(capsys):
    parser = argparse.ArgumentParser()
    add_config_args(parser)
    args = parser.parse_args(['c.py', '--cfg-options', 'a.b=1', '+c=[2,3]'])
    assert args.config == 'c.py'
    assert args.cfg_options == {'a.b': 1, '+c': [2, 3]}
    with pytest.raises(SystemExit):
        parser.parse_args(['c.py', '--cfg-options', 'a.b'])
    assert "expected key=value, got 'a.b'" in capsys.readouterr().err


def test_existing_file(tmp_path):
    file = tmp_path / 'a.pth'
    file.touch()
    assert existing_file(str(file), 'checkpoint') == str(file)
    with pytest.raises(UsageError, match='checkpoint .*b.pth does not exist'):
        existing_file(str(tmp_path / 'b.pth'), 'checkpoint')
    with pytest.raises(UsageError, match='is not a file'):
        existing_file(str(tmp_path), 'checkpoint')


@pytest.fixture
def configs(tmp_path) -> Path:
    folder = tmp_path / 'configs'
    folder.mkdir()
    (folder / 'pcnet_r50.py').write_text('model = dict(depth=50)\n')
    return folder


def test_load_config_merges_options(configs):
    cfg = load_config(configs / 'pcnet_r50.py', {'model.depth': 18})
    assert cfg.model == dict(depth=18)


def test_load_config_says_what_was_meant(configs):
    with pytest.raises(UsageError, match='mean .*pcnet_r50.py') as info:
        load_config(configs / 'pcnet' / 'pcnet_r5O.py')
    assert 'does not exist' in str(info.value)
    with pytest.raises(UsageError) as info:
        load_config(configs / 'zebra.py')
    assert 'did you mean' not in str(info.value)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('model = dict(', 'SyntaxError'),
        ('model = undefined', 'NameError'),
        ("_base_ = './none.py'", 'none.py'),
        ("_base_ = 'mmps::none/x.py'", 'none/x.py'),
    ],
)
def test_load_config_names_a_broken_config(configs, text, message):
    path = configs / 'broken.py'
    path.write_text(text + '\n')
    with pytest.raises(UsageError, match=message) as info:
        load_config(path)
    assert str(info.value).startswith(f'config {path}: ')


def test_load_config_wants_a_config(configs):
    path = configs / 'notes.txt'
    path.touch()
    with pytest.raises(UsageError, match='expected a .py file'):
        load_config(path)


def test_load_config_by_name():
    name = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco'
    cfg = load_config(name, {'model.bbox_head.num_classes': 1})
    assert cfg.model.bbox_head.num_classes == 1
    assert load_config(name + '.py').model.type == 'RetinaNet'


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('mmdet::retinanet/retinanet_r50_fpn_1x_cocoa.py', 'did you mean'),
        ('mmps::pcnet/none.py', 'mmps::pcnet/none.py does not exist'),
        ('nobody::pcnet/x.py', "'nobody' is not a package that ships"),
        ('mmfewshot::a/b.py', 'mmfewshot is not installed'),
    ],
)
def test_load_config_by_unknown_name(name, message, monkeypatch):
    monkeypatch.setitem(sys.modules, 'pip', None)  # must not be called
    with pytest.raises(UsageError, match=message):
        load_config(name)


def test_plain_name_of_a_shipped_config():
    by_name = load_config('pcnet_r50_prw')
    by_path = load_config('configs/pcnet/pcnet_r50_prw.py')
    assert by_name.model == by_path.model
    with pytest.raises(UsageError, match='config pcnet_r51_prw does not'):
        load_config('pcnet_r51_prw')


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

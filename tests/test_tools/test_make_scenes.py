"""Tests of make_scenes.py: summary, options, one-line errors."""

import runpy
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'make_scenes.py'
SMALL = [
    *('--train-frames', '4', '--test-frames', '12', '--train-ids', '2'),
    *('--test-ids', '3', '--size', '96', '64', '--workers', '1'),
]


def run(monkeypatch, *options: object) -> int:
    argv = ['make_scenes.py', *map(str, options)]
    monkeypatch.setattr(sys, 'argv', argv)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    return end.value.code


def test_makes_and_finds_a_tree(tmp_path, monkeypatch, capsys):
    root = tmp_path / 'scenes'
    options = (root, *SMALL, '--cameras', 3, '--test-cameras', 2, 3)
    assert run(monkeypatch, *options) == 0
    assert 'scenes made' in capsys.readouterr().out
    assert (root / 'query_info.txt').is_file()
    cameras = {p.name[1] for p in (root / 'frames').iterdir()}
    assert cameras == {'1', '2', '3'}
    assert run(monkeypatch, *options) == 0
    assert 'scenes found' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (('--cameras', 12), 'cameras: expected 1 to 9'),
        (('--test-ids', 500), 'test_ids: 500 people'),
        (('--layout', 'cuhk'), 'at least 51'),
        (('--workers', -2), 'workers: expected 0 or more'),
    ],
)
def test_errors_of_use(tmp_path, monkeypatch, capsys, options, words):
    assert run(monkeypatch, tmp_path / 'x', *SMALL, *options) == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert error.count('\n') == 0
    assert not (tmp_path / 'x').exists()


def test_foreign_folder(tmp_path, monkeypatch, capsys):
    (tmp_path / 'mine.txt').write_text('')
    assert run(monkeypatch, tmp_path, *SMALL) == 2
    assert 'mine.txt' in capsys.readouterr().err

"""Every option of every command-line tool has a help text."""

import argparse
import sys
from pathlib import Path

import pytest

from mmps.cli import search

TOOLS = Path(__file__).parents[2] / 'tools'
PROGRAMS = sorted(
    path.relative_to(TOOLS).as_posix()
    for path in TOOLS.rglob('*.py')
    if 'parse_args()' in path.read_text()
)


class Parsing(Exception):
    """Holds the parser that was about to parse."""


def without_help(parser, name=''):
    """Options without a help text, of a parser and those below it."""
    found = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command, below in action.choices.items():
                found += without_help(below, f'{command} ')
        elif not action.help:
            found.append(name + (*action.option_strings, action.dest)[0])
    return found


@pytest.fixture(autouse=True)
def stop_at_parsing(monkeypatch):
    def stop(self, *_):
        raise Parsing(self)

    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', stop)
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_known_args', stop)
    monkeypatch.setattr(sys, 'argv', ['tool'])
    monkeypatch.syspath_prepend(TOOLS)  # tools import their neighbours


@pytest.mark.parametrize('program', PROGRAMS)
def test_tool(program, tool):
    module = tool(program)
    with pytest.raises(Parsing) as caught:
        getattr(module, 'parse_args', module.main)()
    assert without_help(caught.value.args[0]) == []


def test_mmps_search():
    with pytest.raises(Parsing) as caught:
        search.parse_args([])
    parser = caught.value.args[0]
    assert without_help(parser) == []
    parser.add_argument('--new')
    assert without_help(parser) == ['--new']


def test_there_are_tools():
    assert {'train.py', 'demo.py'} < set(PROGRAMS)
    assert len(PROGRAMS) > 20

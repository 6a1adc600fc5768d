"""Fixtures for tests of the command lines."""

import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def run(monkeypatch, capsys) -> Callable:
    """Run ``mmps-search`` in this process: status, stdout and stderr."""
    from mmps.cli import search as search_cli

    def call(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['mmps-search', *map(str, words)])
        with pytest.raises(SystemExit) as stop:
            search_cli.main()
        out = capsys.readouterr()
        return stop.value.code, out.out, out.err

    return call

"""Tests of the examples in docstrings."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import mmps

PACKAGE = Path(mmps.__file__).parent
MODULES = sorted(
    '.'.join(('mmps', *path.relative_to(PACKAGE).with_suffix('').parts))
    for path in PACKAGE.rglob('*.py')
    if '.mim' not in path.parts and '>>> ' in path.read_text()
)


def test_there_are_examples():
    assert 'mmps.apis.shipped_models' in MODULES
    assert len(MODULES) > 12


@pytest.mark.parametrize('name', MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0

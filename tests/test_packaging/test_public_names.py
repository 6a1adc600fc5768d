"""Tests of the list of public names: of Python, of parts, of configs."""

from importlib import import_module

import pytest

import mmps.models.losses
from mmps.registry import MODELS

import public_names

COMMAND = 'python tests/public_names.py'


@pytest.fixture
def listed(tmp_path, monkeypatch):
    """A list of the names as they are, in place of the checked-in one."""
    file = tmp_path / 'listed.txt'
    monkeypatch.setattr(public_names, 'FILE', file)
    public_names.main()


def differences() -> str:
    """What the package and the checked-in list disagree about."""
    stored = public_names.FILE.read_text().splitlines()
    current = public_names.public_names()
    gone = [f'gone: {name}' for name in stored if name not in current]
    new = [f'new: {name}' for name in current if name not in stored]
    return '\n'.join(gone + new)


def test_names_are_those_of_the_list():
    found = differences()
    assert not found, f'{found}\nIf this is meant: {COMMAND}'


def test_every_exported_name_is_there():
    for package in public_names.packages():
        module = import_module(package)
        for name in getattr(module, '__all__', ()):
            assert hasattr(module, name), f'{package}.{name}'


@pytest.mark.usefixtures('listed')
def test_a_removed_name_is_found(monkeypatch):
    names = [n for n in mmps.models.losses.__all__ if n != 'FCLoss']
    monkeypatch.setattr(mmps.models.losses, '__all__', names)
    assert differences() == 'gone: import mmps.models.losses.FCLoss'


@pytest.mark.usefixtures('listed')
def test_a_removed_part_is_found(monkeypatch):
    monkeypatch.delitem(MODELS.module_dict, 'FCLoss')
    assert differences() == 'gone: part MODELS mmps.FCLoss'


@pytest.mark.usefixtures('listed')
def test_a_removed_config_is_found(monkeypatch):
    names = [n for n in public_names.list_models() if n != 'oim_r50_prw']
    monkeypatch.setattr(public_names, 'list_models', lambda: names)
    assert differences() == 'gone: config oim_r50_prw'


@pytest.mark.usefixtures('listed')
def test_a_new_name_is_found(monkeypatch):
    """Otherwise its later removal would not be."""
    names = [*mmps.models.losses.__all__, 'OtherLoss']
    monkeypatch.setattr(mmps.models.losses, '__all__', names)
    assert differences() == 'new: import mmps.models.losses.OtherLoss'


def test_the_command_writes_the_list(tmp_path, monkeypatch, capsys):
    file = tmp_path / 'names.txt'
    monkeypatch.setattr(public_names, 'FILE', file)
    for said in ('written', 'no change'):
        public_names.main()
        assert capsys.readouterr().out == f'{file}: {said}\n'
    assert file.read_text().splitlines() == public_names.public_names()


def test_packages_with_and_without_a_list():
    """Of checkpoints the modules are the interface, of web the package."""
    names = public_names.exports('mmps.checkpoints')
    assert 'mmps.checkpoints.reading.read_checkpoint' in names
    assert 'mmps.checkpoints.reading.Path' not in names
    assert 'mmps.web.run_server' in public_names.exports('mmps.web')

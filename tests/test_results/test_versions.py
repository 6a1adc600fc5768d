"""Tests of the recorded versions and devices."""

import pytest
import torch

import mmps
from mmps.results.versions import device_name, source_hash, stack_versions
from mmps.utils.errors import UsageError
from mmps.utils.torch_version import require_torch


def test_versions_are_those_that_are_imported():
    found = stack_versions()
    assert found['mmps'] == mmps.__version__
    assert found['torch'] == torch.__version__
    for name in ('mmengine', 'mmcv', 'mmdet'):
        version = __import__(name).__version__
        assert found[name].split(' ')[0] == version
    assert all(isinstance(value, str) for value in found.values())


def test_source_hash_sees_every_change_of_code(tmp_path):
    package = tmp_path / 'package'
    (package / 'sub').mkdir(parents=True)
    (package / '.mim').mkdir()
    (package / 'a.py').write_text('a = 1\n')
    (package / 'sub' / 'b.py').write_text('b = 1\n')
    before = source_hash(package)
    (package / 'notes.txt').write_text('not code')
    (package / '.mim' / 'c.py').write_text('a config, not code')
    assert source_hash(package) == before
    (package / 'sub' / 'b.py').write_text('b = 2\n')
    changed = source_hash(package)
    assert changed != before
    (package / 'sub' / 'b.py').rename(package / 'b.py')
    assert source_hash(package) not in (before, changed)


def test_source_hash_does_not_depend_on_the_folder(tmp_path):
    for name in ('one', 'two'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'a.py').write_text('a = 1\n')
    assert source_hash(tmp_path / 'one') == source_hash(tmp_path / 'two')


def test_device_of_a_cpu():
    assert device_name(torch.device('cpu')).startswith('CPU (')


def test_too_old_a_torch_is_named(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.10.1+cu130')
    require_torch('2.9', 'a part')
    require_torch('2.10', 'a part')
    with pytest.raises(UsageError) as info:
        require_torch('2.11', 'a part')
    assert str(info.value) == (
        'a part needs torch 2.11 or later, found 2.10.1+cu130'
    )


def test_device_of_another_kind():
    assert device_name(torch.device('meta')) == 'meta'

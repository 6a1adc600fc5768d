"""Tests of reading configs, and of its errors."""

import sys
from pathlib import Path

import pytest

from mmps.utils.config import load_config
from mmps.utils.errors import UsageError


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


def test_plain_name_that_nobody_ships(tmp_path, monkeypatch):
    """Whatever the folder, the name that was meant is said."""
    monkeypatch.chdir(tmp_path)
    message = 'config pcnet_r51_prw does not exist; did you mean pcnet_r50_prw'
    with pytest.raises(UsageError, match=message):
        load_config('pcnet_r51_prw')
    with pytest.raises(UsageError, match='config zebra does not exist$'):
        load_config('zebra')
    (tmp_path / 'zebra').touch()
    with pytest.raises(UsageError, match='expected a .py file'):
        load_config('zebra')

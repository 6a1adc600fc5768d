"""Tests of register_all_modules and the quiet import of all parts."""

import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
from mmengine.registry import DefaultScope

from mmps.registry import DATASETS, HOOKS, METRICS, MODELS
from mmps.utils import register_all_modules

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def scopes(monkeypatch):
    """Keep the default scope from other tests."""
    monkeypatch.setattr(DefaultScope, '_instance_dict', OrderedDict())


def test_registers_every_part_and_sets_the_scope():
    register_all_modules()
    assert DefaultScope.get_current_instance().scope_name == 'mmps'
    for registry in (DATASETS, HOOKS, METRICS, MODELS):
        assert len(registry), registry.name
    register_all_modules()
    assert DefaultScope.get_current_instance().scope_name == 'mmps'


def test_scope_only_on_request():
    register_all_modules(init_default_scope=False)
    assert DefaultScope.get_current_instance() is None


def test_importing_says_nothing():
    """In a new process: a second import is silent anyway."""
    code = (
        'from mmps.utils.part_imports import import_parts; import_parts(); '
        'from mmengine.registry import DefaultScope as scope; '
        'assert scope.get_current_instance() is None; '
        'import sys; assert "mmps.models" in sys.modules'
    )
    command = [sys.executable, '-c', code]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')

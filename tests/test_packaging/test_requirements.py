"""Requirement files, pins, the version gate and what is imported agree."""

import ast
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from mmps import VERSION_BOUNDS

ROOT = Path(__file__).resolve().parents[2]
FILES = ('build', 'mminstall', 'runtime', 'optional', 'tests')
FRAMEWORKS = {'torch', 'mmengine', 'mmcv', 'mmdet', 'cv2'}


def read(name: str) -> list[Requirement]:
    text = (ROOT / 'requirements' / f'{name}.txt').read_text()
    lines = (line.partition('#')[0].strip() for line in text.splitlines())
    return [Requirement(line) for line in lines if line]


def bounds(requirement: Requirement) -> tuple[Version, Version]:
    specs = {s.operator: Version(s.version) for s in requirement.specifier}
    assert set(specs) == {'>=', '<'}, requirement
    return specs['>='], specs['<']


@pytest.mark.parametrize('name', FILES)
def test_bounds_end_at_a_major_version(name):
    for requirement in read(name):
        low, high = bounds(requirement)
        assert low < high
        assert high.release == (high.major,), requirement


def test_pins_are_exact_and_meet_the_bounds():
    pins = {}
    for pin in read('pinned'):
        (spec,) = pin.specifier
        assert spec.operator == '=='
        assert pin.name.lower() not in pins
        pins[pin.name.lower()] = Version(spec.version)
    for name in FILES:
        for requirement in read(name):
            pin = pins[requirement.name.lower()]
            assert requirement.specifier.contains(pin), requirement


def test_gate_and_requirements_have_the_same_bounds():
    names = {
        'mmengine': 'onedl-mmengine',
        'mmcv': 'onedl-mmcv',
        'mmdet': 'onedl-mmdetection',
    }
    wanted = {r.name: bounds(r) for r in read('mminstall')}
    assert set(VERSION_BOUNDS) == set(names)
    for module, name in names.items():
        low, high = VERSION_BOUNDS[module]
        assert wanted[name] == (Version(low), Version(high)), module


def test_no_framework_among_the_dependencies():
    for name in ('runtime', 'optional', 'tests'):
        for requirement in read(name):
            assert not re.match(r'torch|mm|onedl|opencv', requirement.name), (
                requirement
            )


def imported(path: Path) -> set[str]:
    """Top-level names of all imports of a file, also inside functions."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {a.name.partition('.')[0] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.partition('.')[0])
    return names


def test_every_import_of_the_package_is_a_dependency():
    """Beside the frameworks and what they in turn always bring."""
    allowed = set(sys.stdlib_module_names) | FRAMEWORKS | {'mmps'}
    allowed |= {'rich', 'yaml'}  # dependencies of mmengine
    listed = {r.name.lower() for r in read('runtime')}
    distributions = packages_distributions()
    files = [p for p in (ROOT / 'mmps').rglob('*.py') if '.mim' not in p.parts]
    assert files
    for path in files:
        for name in imported(path) - allowed:
            owners = {d.lower() for d in distributions.get(name, [name])}
            assert owners & listed, f'{path}: {name}'

"""Tests of requirement files, pins, the version gate and imports."""

import ast
import re
import subprocess
import sys
from importlib.metadata import (
    PackageNotFoundError,
    distributions,
)
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import mmps
from mmps import VERSION_BOUNDS

ROOT = Path(__file__).resolve().parents[2]
EXTRAS = ('optional', 'milvus', 'onnx', 'ray', 'video', 'web')
FILES = ('build', 'mminstall', 'runtime', *EXTRAS, 'tests', 'docs')
# The pins of a set of versions, and what it has in the place of others.
STACKS = {
    'pinned': {},
    'openmmlab': {'mminstall': 'mminstall-openmmlab', 'docs': None},
}
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


@pytest.mark.parametrize('stack', STACKS)
def test_pins_are_exact_and_meet_the_bounds(stack):
    pins = {}
    for pin in read(stack):
        (spec,) = pin.specifier
        assert spec.operator == '=='
        assert pin.name.lower() not in pins
        pins[pin.name.lower()] = Version(spec.version)
    for name in FILES:
        name = STACKS[stack].get(name, name)
        for requirement in read(name) if name else ():
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
    originals = {r.name: bounds(r) for r in read('mminstall-openmmlab')}
    for module, (low, high) in VERSION_BOUNDS.items():
        assert originals[module][0] == Version(low), module
        assert originals[module][1] <= Version(high), module
    assert originals['torch'] == wanted['torch']


@pytest.mark.parametrize(
    ('present', 'command'),
    [
        (['onedl-mmcv', 'onedl-mmengine'], '-r requirements/mminstall.txt'),
        ([], '-r requirements/mminstall.txt'),
        (['mmengine'], 'mim install "mmengine>=0.10.4,<1" "mmcv>=2.1,<2.2"'),
        (['mmdet', 'mmcv'], 'mim install "mmengine>=0.10.4,<1" "mmcv>=2.1,'),
    ],
)
def test_gate_names_the_set_that_is_there(monkeypatch, present, command):
    def distribution(name):
        if name not in present:
            raise PackageNotFoundError(name)

    old = SimpleNamespace(__version__='0.1.0')
    monkeypatch.setattr(mmps, 'import_module', lambda name: old)
    monkeypatch.setattr(mmps.metadata, 'distribution', distribution)
    with pytest.raises(ImportError) as info:
        mmps._check_version('mmcv', *VERSION_BOUNDS['mmcv'])
    assert 'mmps needs mmcv >=2.1.0,<3.0.0, found 0.1.0' in str(info.value)
    assert command in str(info.value)


def test_command_for_the_originals_has_their_bounds():
    command = re.findall(r'"(\w+)(\S+)"', mmps._INSTALL_ORIGINALS)
    listed = {r.name: r.specifier for r in read('mminstall-openmmlab')}
    assert len(command) == 3
    for name, specifier in command:
        assert listed[name] == Requirement(f'{name}{specifier}').specifier


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
    allowed |= {'anyio', 'pydantic', 'starlette'}  # dependencies of fastapi
    allowed |= {'grpc'}  # of pymilvus
    listed = {
        r.name.lower() for name in ('runtime', *EXTRAS) for r in read(name)
    }
    owners_of: dict[str, set[str]] = {}
    for distribution in distributions():
        # packages_distributions does not look at files before Python 3.11.
        record = distribution.read_text('RECORD') or ''
        for name in set(re.findall(r'^\w+(?=[/.])', record, re.MULTILINE)):
            owners_of.setdefault(name, set()).add(distribution.name.lower())
    files = [p for p in (ROOT / 'mmps').rglob('*.py') if '.mim' not in p.parts]
    assert files
    for path in files:
        for name in imported(path) - allowed:
            owners = owners_of.get(name, {name})
            assert owners & listed, f'{path}: {name}'


def test_extras_are_imported_only_where_they_are_used():
    """A plain installation has none of them."""
    extras = {
        'fastapi', 'lap', 'milvus_lite', 'onnx', 'onnxruntime',
        'onnxscript', 'pydantic', 'pymilvus', 'ray', 'starlette', 'uvicorn',
    }  # fmt: skip
    code = f"""
import sys
sys.modules.update(dict.fromkeys({extras}))
import mmps.cli.search_commands, mmps.apis.person_searcher, mmps.gallery
import painted, mmps.gallery.exact, mmps.deploy
from mmps.utils.part_imports import import_parts
import_parts()
"""
    done = subprocess.run(
        [sys.executable, '-c', code],
        capture_output=True,
        text=True,
        cwd=ROOT / 'tests',  # where painted is
    )
    assert done.returncode == 0, done.stderr

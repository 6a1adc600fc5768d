"""Tests of wheel and sdist: their files, and the configs in them."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
BUILD = 'import sys, setuptools.build_meta as b; b.build_{}(sys.argv[1])'
TREE = ('configs', 'mmps', 'requirements', 'tests', 'tools')


def copy_tree(target: Path) -> Path:
    """Copy the checkout: building writes into the source tree."""
    ignore = shutil.ignore_patterns('__pycache__', '.mim', '*.egg-info')
    for name in TREE:
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)
    return target


def build(source: Path, kind: str, out: Path) -> Path:
    """Build a wheel or an sdist without isolation; returns the archive."""
    command = [sys.executable, '-c', BUILD.format(kind), str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (archive,) = out.iterdir()
    return archive


@pytest.fixture(scope='module')
def source(tmp_path_factory) -> Path:
    return copy_tree(tmp_path_factory.mktemp('source'))


@pytest.fixture(scope='module')
def wheel(source, tmp_path_factory) -> Path:
    return build(source, 'wheel', tmp_path_factory.mktemp('wheel'))


@pytest.fixture(scope='module')
def sdist(source, wheel, tmp_path_factory) -> Path:
    return build(source, 'sdist', tmp_path_factory.mktemp('sdist'))


def shipped() -> set[str]:
    """Files that belong under mmps/.mim, relative to the checkout."""
    files = {'model-index.yml'}
    for folder in ('configs', 'tools'):
        for path in (ROOT / folder).rglob('*'):
            unshipped = {'__pycache__', 'benchmarks'} & set(path.parts)
            if path.is_file() and not unshipped:
                files.add(path.relative_to(ROOT).as_posix())
    return files


def names_below(names: list[str], prefix: str) -> set[str]:
    return {
        n.removeprefix(prefix)
        for n in names
        if n.startswith(prefix) and not n.endswith('/')
    }


def test_wheel_holds_the_package_and_nothing_beside(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.partition('/')[0] for n in names}
    assert {t for t in tops if not t.endswith('.dist-info')} == {'mmps'}
    assert names_below(names, 'mmps/.mim/') == shipped()
    modules = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / 'mmps').rglob('*.py')
    }
    inside = {n for n in names if n.endswith('.py') and '/.mim/' not in n}
    assert inside == {m for m in modules if '/.mim/' not in m}


def archived(archive: Path) -> list[str]:
    if archive.suffix == '.whl':
        return zipfile.ZipFile(archive).namelist()
    with tarfile.open(archive) as file:
        return [name.partition('/')[2] for name in file.getnames()]


@pytest.mark.parametrize('kind', ['wheel', 'sdist'])
def test_archives_hold_nothing_that_only_developers_run(kind, request):
    """No fuzzing, no benchmarks, no tests."""
    names = archived(request.getfixturevalue(kind))
    assert any(name.startswith('mmps/testing/') for name in names)
    words = re.compile(r'fuzz|benchmark|measuring|(^|[/_])tests?[/_]')
    for name in names:
        assert not words.search(name), name


def test_wheel_depends_on_no_framework(wheel):
    archive = zipfile.ZipFile(wheel)
    (path,) = (n for n in archive.namelist() if n.endswith('/METADATA'))
    lines = archive.read(path).decode().splitlines()
    wanted = [
        line.split(':')[1].strip().lower()
        for line in lines
        if line.startswith('Requires-Dist:') and 'extra ==' not in line
    ]
    assert wanted
    for line in wanted:
        assert not line.startswith(('torch', 'onedl', 'mm', 'opencv')), line
    assert 'License-Expression: Apache-2.0' in lines


def test_sdist_holds_no_top_level_folders_but_the_package(sdist):
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
        folders = {
            m.name.split('/')[1]
            for m in archive.getmembers()
            if '/' in m.name and m.isdir()
        }
    base = names[0].partition('/')[0] + '/'
    assert folders == {'mmps', 'mmps.egg-info', 'requirements'}
    assert names_below(names, f'{base}mmps/.mim/') >= shipped()
    for name in ('setup.py', 'pyproject.toml', 'LICENSE', 'PKG-INFO'):
        assert base + name in names


def test_wheel_from_sdist_equals_wheel_from_checkout(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / 'source', filter='data')
    (source,) = (tmp_path / 'source').iterdir()
    again = zipfile.ZipFile(build(source, 'wheel', tmp_path / 'out'))
    first = zipfile.ZipFile(wheel)
    assert sorted(again.namelist()) == sorted(first.namelist())
    for name in first.namelist():
        if not name.endswith('/RECORD'):
            assert again.read(name) == first.read(name), name


def run_python(code: str, folder: Path, path: Path) -> str:
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        env={**os.environ, 'PYTHONPATH': str(path), 'OMP_NUM_THREADS': '1'},
        cwd=folder,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_configs_resolve_from_the_installed_wheel(wheel, tmp_path):
    """By name, and as the base of somebody's own config."""
    target = tmp_path / 'site'
    zipfile.ZipFile(wheel).extractall(target)
    own = tmp_path / 'own.py'
    own.write_text("_base_ = 'mmps::pcnet/pcnet_r50_prw.py'\nmine = 1\n")
    code = (
        'import mmps\n'
        'from mmengine.config import Config\n'
        'from mmengine.hub import get_config\n'
        "name = 'mmps::pcnet/pcnet_r50_prw.py'\n"
        'print(mmps.__file__)\n'
        'print(get_config(name).filename)\n'
        "cfg = Config.fromfile('own.py')\n"
        'assert cfg.mine == 1\n'
        'assert cfg.model == get_config(name).model\n'
    )
    module, config = run_python(code, tmp_path, target).split()
    assert module == str(target / 'mmps' / '__init__.py')
    mim = target / 'mmps' / '.mim'
    assert config == str(mim / 'configs' / 'pcnet' / 'pcnet_r50_prw.py')


def test_editable_install_links_to_the_checkout(source, tmp_path):
    command = [sys.executable, '-c', BUILD.format('editable'), str(tmp_path)]
    for _ in range(2):  # again: the links are there
        done = subprocess.run(
            command, cwd=source, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
    mim = source / 'mmps' / '.mim'
    for name in ('configs', 'tools', 'model-index.yml'):
        assert (mim / name).is_symlink()
        assert (mim / name).resolve() == source / name
    shutil.rmtree(mim)

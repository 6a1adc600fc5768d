"""Tests of the set-up's view of an environment, on a folder of metadata."""

import importlib.util
from pathlib import Path

import pytest
from pip._vendor.packaging.requirements import Requirement

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'setup_probe.py'


@pytest.fixture
def probe(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('setup_probe', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, 'SITE', tmp_path)
    return module


def add(site: Path, name: str, version: str, *requires: str) -> Path:
    """Install a distribution of one module."""
    info = site / f'{name.replace("-", "_")}-{version}.dist-info'
    info.mkdir()
    lines = ['Metadata-Version: 2.1', f'Name: {name}', f'Version: {version}']
    lines += [f'Requires-Dist: {r}' for r in requires]
    (info / 'METADATA').write_text('\n'.join(lines) + '\n')
    (site / f'{name}.py').touch()
    record = [f'{name}.py,,', f'{name}.pyc,,']  # the .pyc is not there
    (info / 'RECORD').write_text('\n'.join(record) + '\n')
    return info


def lacking(probe, wanted: list[str], pins: tuple[str, ...] = ()) -> list:
    return probe.missing(
        [Requirement(x) for x in wanted], [Requirement(x) for x in pins]
    )


def test_nothing_missing(probe, tmp_path):
    add(tmp_path, 'Big_Thing', '1.2', 'small>=1', 'win; os_name == "nt"')
    add(tmp_path, 'small', '1.0+cpu', 'big-thing')
    assert lacking(probe, ['big.thing>=1,<2'], ('small==1.0',)) == []


@pytest.mark.parametrize(
    ('wanted', 'pins', 'expected'),
    [
        (['gone'], (), ['gone']),
        (['big>=2'], (), ['big>=2']),
        (['big'], ('big==1.1',), ['big==1.1']),
        (['big'], ('small==2.0',), ['small==2.0']),
        (['big'], ('gone==2.0',), []),  # a pin alone asks for nothing
        (['big[more]'], (), ['extra-part']),
        (['big', 'big[more]'], (), ['extra-part']),
    ],
)
def test_missing(probe, tmp_path, wanted, pins, expected):
    add(tmp_path, 'big', '1.2', 'small', 'extra-part; extra == "more"')
    add(tmp_path, 'small', '1.0')
    assert lacking(probe, wanted, pins) == expected


def test_either_opencv_meets_the_other(probe, tmp_path):
    both = ['opencv-python>=4', 'opencv-python-headless>=4']
    assert len(lacking(probe, both)) == 2
    add(tmp_path, 'opencv-python-headless', '4.12')
    assert lacking(probe, both) == []
    assert lacking(probe, ['opencv-python>=5']) == ['opencv-python>=5']


def test_damaged(probe, tmp_path):
    add(tmp_path, 'whole', '1.0')
    assert probe.damaged() == []
    no_record = add(tmp_path, 'first', '1.0')
    (no_record / 'RECORD').unlink()
    no_metadata = add(tmp_path, 'second', '1.0')
    (no_metadata / 'METADATA').unlink()
    no_file = add(tmp_path, 'third', '1.0')
    (tmp_path / 'third.py').unlink()
    moved = add(tmp_path, '~ourth', '1.0')
    (tmp_path / '~ourth.py').unlink()
    expected = {no_record, no_metadata, no_file, moved}
    found = probe.damaged()
    assert set(found) == expected
    assert len(found) == len(expected)


def test_requirement_files(probe, tmp_path):
    path = tmp_path / 'x.txt'
    path.write_text('# why\n\na>=1,<2  # because\nb==3\n')
    names = [str(r) for r in probe.read_requirements([str(path)])]
    assert names == ['a<2,>=1', 'b==3']

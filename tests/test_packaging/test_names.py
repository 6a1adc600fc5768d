"""Tests of names: one name stands for one thing."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Every package has its own errors; the command has a script of its name.
SHARED_FILES = {'__init__.py', 'errors.py'}
SAME_THING = {'search.py': {'mmps/cli', 'tools'}}


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob('*.py'))


def repeated(places: dict[str, set[str]]) -> dict[str, list[str]]:
    return {k: sorted(v) for k, v in places.items() if len(v) > 1}


def test_file_names():
    places = defaultdict(set)
    for path in sources('mmps', 'tools'):
        places[path.name].add(str(path.parent.relative_to(ROOT)))
    found = {
        name: folders
        for name, folders in repeated(places).items()
        if name not in SHARED_FILES and set(folders) != SAME_THING.get(name)
    }
    assert not found


@pytest.mark.parametrize(
    ('folders', 'kind'),
    [
        (('mmps', 'tools'), ast.ClassDef),
        # Scripts have a main and a parse_args each.
        (('mmps',), (ast.FunctionDef, ast.AsyncFunctionDef)),
    ],
)
def test_public_names(folders, kind):
    places = defaultdict(set)
    for path in sources(*folders):
        for node in ast.parse(path.read_text(encoding='utf-8')).body:
            if isinstance(node, kind) and not node.name.startswith('_'):
                places[node.name].add(str(path.relative_to(ROOT)))
    assert not repeated(places)

"""Tests of CONTRIBUTING.md: its files exist, and hold the names it gives."""

import re
from pathlib import Path

import pytest

import mmps.testing

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / 'CONTRIBUTING.md').read_text()
RECIPES = dict(
    re.findall(
        r'^## (A [^\n]*)\n(.*?)(?=^## )', PAGE, re.MULTILINE | re.DOTALL
    )
)
ROWS = [
    (title, *(cell.strip() for cell in line.split('|')[1:-1]))
    for title, text in RECIPES.items()
    for line in text.splitlines()
    if re.match(r'\| \w', line)
]
CODE = sorted(set(re.findall(r'`([^`\n]+)`', PAGE)))


def paths_in(text: str) -> list[Path]:
    links = re.findall(r'\]\(([^)#]+)', text)
    return [ROOT / link for link in links]


def test_the_eight_recipes():
    assert list(RECIPES) == [
        'A loss', 'A memory rule', 'A pooling', 'A neck', 'A method',
        'A data set', 'A gallery engine',
        'A family of published checkpoints',
    ]  # fmt: skip
    first = PAGE.partition('## Commands')[0]
    links = re.findall(r'\]\((#[\w-]+)\)', first)
    assert links == [
        '#' + title.lower().replace(' ', '-') for title in RECIPES
    ]


@pytest.mark.parametrize('title', RECIPES)
def test_a_recipe_has_every_row(title):
    rows = {row[1] for row in ROWS if row[0] == title}
    assert any('config' in row for row in rows)
    assert {'test'} <= rows
    assert any('page' in row for row in rows)
    if title != 'A method':
        assert {'code', 'export'} <= rows
    if title != 'A gallery engine':
        assert any('metafile' in row for row in rows)


@pytest.mark.parametrize('row', ROWS, ids=lambda row: ': '.join(row[:2]))
def test_names_of_a_row_are_in_its_examples(row):
    _, _, where, example = row
    paths = paths_in(example)
    assert all(path.is_file() for path in paths)
    text = '\n'.join(path.read_text() for path in paths)
    for name in re.findall(r'`([\w.]+)`', where + example):
        if re.search(r'\.(py|txt|toml|md|yml)$|NAME', name):
            continue
        assert name.rpartition('.')[2] in text or not paths, name


@pytest.mark.parametrize(
    'path', [c for c in CODE if re.fullmatch(r'[\w.-]+(/[\w.{},-]*)+', c)]
)
def test_paths_exist(path):
    """NAME and ROW stand for those of the examples."""
    pattern = re.sub('NAME|ROW', '*', path.rstrip('/'))
    assert list(ROOT.glob(pattern))


@pytest.mark.parametrize(
    'command', ['setup', 'lint', 'test', 'test-slow', 'docs']
)
def test_make_has_the_commands(command):
    assert f'make {command} ' in PAGE
    assert re.search(
        rf'^{command}:', (ROOT / 'Makefile').read_text(), re.MULTILINE
    )


def test_all_of_mmps_testing_is_told():
    part = PAGE.partition('## Helpers for users')[2].partition('\n## ')[0]
    for name in mmps.testing.__all__:
        assert f'`{name}`' in part
    folder = Path(mmps.testing.__file__).parent
    told = {path.name for path in paths_in(part)}
    for file in folder.glob('*.py'):
        exported = re.search(
            f'from .{file.stem} import',
            (folder / '__init__.py').read_text(),
        )
        assert file.name == '__init__.py' or exported or file.name in told
    for path in paths_in(part):
        row = next(x for x in part.splitlines() if path.name in x)
        for name in re.findall(r'`(\w+)`', row):
            assert f'def {name}(' in path.read_text()

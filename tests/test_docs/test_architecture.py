"""Tests of docs/architecture.md: folders, layers and journeys."""

import importlib.util
import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

import public_names
from journeys import JOURNEYS, PAGE, Step, resolve

ROOT = Path(__file__).parents[2]


def rows_of(heading: str) -> list[list[str]]:
    """Cells of the table that follows a line of the page."""
    table = PAGE.partition(f'\n{heading}\n')[2].partition('| --- |')[2]
    lines = table.partition('\n\n')[0].splitlines()[1:]
    assert lines, heading
    return [[cell.strip() for cell in x.split('|')[1:-1]] for x in lines]


FOLDERS = rows_of('## Folders')


@pytest.fixture(scope='module')
def drawing() -> ModuleType:
    pytest.importorskip('tomllib')
    path = ROOT / 'docs' / 'draw_layers.py'
    spec = importlib.util.spec_from_file_location('draw_layers', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name_of(cell: str) -> str:
    return re.match(r'\[(.*?)\]', cell)[1]


def test_folders_of_the_package():
    packages = {name.replace('.', '/') for name in public_names.packages()}
    packages.add('mmps/web/static')
    named = [name_of(cells[0]) for cells in FOLDERS]
    assert sorted(named) == sorted(packages)


def test_rows_of_the_folders(drawing):
    """That of the contract's longest prefix; none where it has none."""
    rows = {
        f'mmps.{name}': str(number)
        for number, row in enumerate(drawing.layers(), 1)
        for name in row[::2]
    }
    for cell, row, _ in FOLDERS:
        module = name_of(cell).replace('/', '.')
        if module == 'mmps.web.static':  # no Python
            continue
        while module not in rows and '.' in module:
            module = module.rpartition('.')[0]
        assert row == rows.get(module, ''), cell


def test_folders_beside_the_package():
    done = subprocess.run(
        ['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip('no git checkout')
    found = {x.partition('/')[0] for x in done.stdout.split() if '/' in x}
    named = {name_of(cells[0]) for cells in rows_of('Beside the package:')}
    assert named == found - {'mmps'}


def test_drawing_is_that_of_the_contract(drawing):
    assert drawing.FILE.read_text() == drawing.draw(), (
        'python docs/draw_layers.py'
    )
    names = {name for row in drawing.layers() for name in row[::2]}
    assert 'evaluation.functional' in names
    assert set(drawing.plain_packages()) < names
    for name in names:
        assert f'>{name}</text>' in drawing.draw()


def test_page_tells_every_contract():
    """One contract has the drawing, the others a sentence each."""
    text = (ROOT / 'pyproject.toml').read_text()
    count = text.count('[[tool.importlinter.contracts]]')
    told = PAGE.partition('more contracts\nhold:\n')[2].partition('##')[0]
    assert len(re.findall('^- ', told, re.MULTILINE)) == count - 1 == 3


def test_there_are_four_journeys():
    assert len(JOURNEYS) == 4
    assert all(len(steps) >= 9 for steps in JOURNEYS)


@pytest.mark.parametrize(
    'step',
    [step for steps in JOURNEYS for step in steps],
    ids=lambda step: f'{step.file}:{step.function}',
)
def test_steps_exist(step: Step):
    if step.file == 'mmdet':
        assert callable(resolve(step.function))
        return
    text = (ROOT / step.file).read_text()
    if step.file.endswith('.js'):
        assert re.search(rf'^(export )?(async )?function {step.function}\(',
                         text, re.MULTILINE)  # fmt: skip
        return
    # Defined there, not only imported.
    function = resolve(f'{step.module}.{step.function}')
    code = getattr(function, '__wrapped__', function).__code__
    assert Path(code.co_filename).samefile(ROOT / step.file)

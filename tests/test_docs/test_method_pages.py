"""Tests of the methods' pages: parts, and figures as in the metafiles."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted(ROOT.glob('configs/*/README.md'))
# [name](file.py), perhaps more cells, mAP and top-1 in the last two.
ROW = re.compile(
    r'^\| \[[^\]]*\]\((?:\.\./\w+/)?([\w.-]+)\.py\) .*'
    r'\| ([\d.]+) \| ([\d.]+) \|$',
    re.MULTILINE,
)


def test_every_method_has_a_page():
    folders = {path.parent for path in ROOT.glob('configs/*/metafile.yml')}
    assert {path.parent for path in PAGES} == folders


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.parent.name)
def test_sections(path):
    text = path.read_text()
    titles = re.findall('^#+ (.*)$', text, re.MULTILINE)
    assert {'Configs', 'Known here'} <= set(titles)
    head = text.partition('\n## ')[0]
    assert re.search('^> .*[A-Z]', head, re.MULTILINE)  # the paper
    assert '| part | what it computes | here |' in head
    assert '`mmps.' in head


@pytest.mark.parametrize('path', PAGES, ids=lambda path: path.parent.name)
def test_figures_are_those_of_the_metafile(path):
    """First row of a config; further ones are of other sources."""
    metafile = yaml.safe_load((path.parent / 'metafile.yml').read_text())
    published = {
        model['Name']: model['Results'][0]['Metrics']
        for model in metafile['Models']
        if not model['Name'].endswith('_scenes')  # ours, in the README
    }
    shown = {}
    for name, mean_ap, top in ROW.findall(path.read_text()):
        shown.setdefault(name, (float(mean_ap), float(top)))
    for name, metrics in published.items():
        assert shown[name] == (metrics['mAP'], metrics['top-1']), name

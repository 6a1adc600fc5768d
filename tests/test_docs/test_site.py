"""Tests of the site: links, and errors on what is broken."""

import io
import re
import sys
from pathlib import Path

import pytest

sphinx = pytest.importorskip('sphinx.application')
pytest.importorskip('myst_parser')

pytestmark = pytest.mark.filterwarnings('ignore::PendingDeprecationWarning')
DOCS = Path(__file__).parents[2] / 'docs'
PAGES = {
    'README.md': """# First

[a page](docs/guide.md), [a part of it](docs/guide.md#the-second-part),
[a file](configs/one.py), `mmps.OIMLoss`, `mmps.gallery.open_gallery()`,
`OIMLoss`, `nothing`, `mmps.utils.config.load_config`, `mmps.losses`
""",
    'docs/guide.md': """# Guide

## The second part

[back](../README.md) [up](../configs/one.py)
""",
    'configs/one.py': "_base_ = './base.py'\n",
}
BROKEN = {
    '[x](docs/none.md)': "target not found: 'docs/none.md'",
    '[x](docs/guide.md#none)': "local id not found in doc 'docs/guide'",
    '[x](configs/none.py)': "target not found: 'configs/none.py'",
    '[x](configs)': "target not found: 'configs'",
    '`mmps.NoLoss`': 'target not found: mmps.NoLoss',
    '`mmps.gallery.nothing`': 'target not found: mmps.gallery.nothing',
    '![x](docs/none.png)': 'image file not readable: docs/none.png',
}


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Build a small checkout; returns warnings and the output folder."""
    monkeypatch.setattr(sys, 'path', [str(DOCS / 'extensions'), *sys.path])
    import api_pages
    import object_links
    import site_menu

    names = tmp_path / 'names.txt'
    names.write_text(
        'import mmps.gallery.open_gallery\n'
        'import mmps.models.losses.FCLoss\nimport mmps.models.losses.OIMLoss\n'
        'import mmps.models.memories.MemoryReadout\n'
    )
    monkeypatch.setattr(api_pages, 'NAMES', names)
    monkeypatch.setattr(site_menu, 'MENU', {'Guides': ['docs/guide']})
    object_links._public_names.cache_clear()

    def build(pages):
        root = tmp_path / 'checkout'
        for name, text in pages.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        warnings = io.StringIO()
        out = tmp_path / 'html'
        sphinx.Sphinx(
            str(root), str(DOCS), str(out), str(tmp_path / 'doctrees'), 'html',
            status=None, warning=warnings,
        ).build()  # fmt: skip
        text = re.sub(r'\x1b\[[\d;]*m', '', warnings.getvalue())
        return text, out

    yield build
    object_links._public_names.cache_clear()


def test_good_pages(build):
    warnings, out = build({**PAGES})
    (line,) = warnings.splitlines()
    assert 'target not found: mmps.losses' in line
    first = (out / 'index.html').read_text()
    loss = 'docs/api/mmps.models.losses.html#mmps.models.losses.OIMLoss'
    shown = {
        (href, re.sub('<.*?>', '', text))
        for href, text in re.findall(
            r'<a class="reference[^"]*" href="([^"]*)"[^>]*>(.*?)</a>', first
        )
    }
    assert ('docs/guide.html#the-second-part', 'a part of it') in shown
    assert ('files/configs/one.py.html', 'a file') in shown
    assert {(loss, 'mmps.OIMLoss'), (loss, 'OIMLoss')} <= shown
    name = 'mmps.gallery.open_gallery'
    assert (f'docs/api/mmps.gallery.html#{name}', f'{name}()') in shown
    assert not any(text == 'nothing' for _, text in shown)
    # Not in the reference: its source.
    source = next(h for h, text in shown if text.endswith('load_config'))
    page, _, line = source.partition('#L-')
    code = (out / page).read_text()
    assert re.search(rf'id="L-{line}".*def.*load_config', code)
    config = (out / 'files' / 'configs' / 'one.py.html').read_text()
    assert './base.py' in config


def test_reference(build):
    """Bases and names in docstrings are linked, sources shown."""
    _, out = build({**PAGES})
    page = (out / 'docs/api/mmps.models.losses.html').read_text()
    assert 'Cross-entropy of the true identity' in page
    assert 'href="#mmps.models.losses.OIMLoss"' in page
    readout = 'mmps.models.memories.html#mmps.models.memories.MemoryReadout'
    assert f'href="{readout}"' in page
    assert '../../files/mmps/models/losses/oim_loss.py.html#L-' in page


def test_arrays_are_downloads(build, tmp_path):
    file = tmp_path / 'checkout' / 'answers.npz'
    file.parent.mkdir()
    file.write_bytes(b'PK\x03\x04\xd6\x00')
    text = '# First\n\n[answers](answers.npz)\n'
    warnings, out = build({**PAGES, 'README.md': text})
    assert 'answers' not in warnings
    first = (out / 'index.html').read_text()
    (link,) = re.findall('href="(_downloads/[^"]*answers.npz)"', first)
    assert (out / link).read_bytes() == file.read_bytes()


def test_nothing_is_fetched(build):
    _, out = build({**PAGES})
    for file in out.rglob('*.html'):
        tags = re.findall(r'<(?:script|link|img)\b[^>]*>', file.read_text())
        assert tags
        assert not [tag for tag in tags if re.search(r'"(https?:)?//', tag)]
    for file in out.rglob('*.css'):
        assert not re.search(r'(url\(|@import)\W*https?:', file.read_text())


@pytest.mark.parametrize('text', BROKEN)
def test_what_is_broken_is_said(build, text):
    warnings, _ = build({**PAGES, 'README.md': f'# First\n\n{text}\n'})
    lines = [x for x in warnings.splitlines() if 'README.md:3' in x]
    assert any(BROKEN[text] in line for line in lines), warnings


def test_a_page_without_a_place_in_the_menu_is_said(build):
    warnings, _ = build({**PAGES, 'docs/lost.md': '# Lost\n'})
    assert "lost.md: WARNING: document isn't included in any toc" in warnings


def test_an_unknown_name_in_a_docstring_is_said(build, monkeypatch):
    from mmps.models.losses import OIMLoss

    monkeypatch.setattr(OIMLoss, '__doc__', 'See :class:`NoLoss`.')
    warnings, _ = build({**PAGES})
    assert 'reference target not found: NoLoss' in warnings


def test_the_page_of_a_package_that_is_gone_goes(build):
    old = 'docs/api/mmps.gone.rst'
    warnings, out = build({**PAGES, old: 'gone\n====\n'})
    assert 'gone' not in warnings
    assert not (out / 'docs/api/mmps.gone.html').exists()

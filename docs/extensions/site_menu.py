"""Menu of the site, added to the README, which is the first page."""

import shutil
from pathlib import Path

from api_pages import FOLDER
from sphinx.application import Sphinx

MENU = {
    'Guides': [
        'docs/model_zoo',
        'docs/search',
        'docs/mixing',
        'docs/reproduce',
        'docs/deploy',
        'docs/gpu',
    ],
    'Methods': [
        f'configs/{name}/README'
        for name in (
            'oim', 'oimnetpp', 'nae', 'seqnet', 'coat', 'seqnext', 'hoim',
            'pcnet', 'alignps', 'pstr',
            'fdps', 'iidfc', 'pgsfl', 'ugas',
        )
    ],
    'Measured': ['docs/ablation', 'docs/benchmarks', 'docs/reliability'],
    'For developers': ['docs/architecture', 'CONTRIBUTING', 'CHANGELOG'],
}  # fmt: skip


def add_menu(app: Sphinx, docname: str, source: list[str]) -> None:
    """See the event source-read."""
    if docname != app.config.root_doc:
        return
    menu = {
        **MENU,
        'Reference': [
            f'{FOLDER}/{path.stem}'
            for path in sorted((app.srcdir / FOLDER).glob('*.rst'))
        ],
    }
    for caption, names in menu.items():
        entries = '\n'.join(f'/{name}' for name in names)
        source[0] += (
            f'\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{entries}\n'
            '```\n'
        )


def add_index(app: Sphinx, error: Exception | None) -> None:
    """See the event build-finished; a folder opens with index.html."""
    if error is None:
        first = Path(app.outdir, f'{app.config.root_doc}.html')
        shutil.copyfile(first, first.with_name('index.html'))


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect('source-read', add_menu)
    app.connect('build-finished', add_index)
    return dict(parallel_read_safe=True)

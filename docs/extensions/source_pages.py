"""Pages for source files that are linked to.

On GitHub ``[...](../configs/oim/oim_r50_prw.py)`` shows the file. Here it
leads to a page with the file's text, highlighted; so do the ``[source]``
links of the reference.
"""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from docutils import nodes
from pygments.lexers import get_lexer_for_filename
from pygments.util import ClassNotFound
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri

CHECKOUT = Path(__file__).resolve().parents[2]
FOLDER = 'files'


def source_page(env: BuildEnvironment, path: Path) -> str:
    """The name of the page of a file below the checkout; asks for it."""
    path = path.resolve()
    inside = path.is_relative_to(env.srcdir.resolve())
    root = env.srcdir.resolve() if inside else CHECKOUT
    name = path.relative_to(root).as_posix()
    _wanted(env)[name] = path
    return f'{FOLDER}/{name}'


def source_of(env: BuildEnvironment, value: object) -> str | None:
    """Page and line of a class, function or module of the package."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(value))
        line = inspect.getsourcelines(value)[1]
    except TypeError:  # data
        return None
    return f'{source_page(env, Path(file))}.html#L-{max(line, 1)}'


def _wanted(env: BuildEnvironment) -> dict[str, Path]:
    if not hasattr(env, 'source_pages'):
        env.source_pages = {}
    return env.source_pages


class LinkSourcePages(SphinxTransform):
    """Lead links to files to their pages."""

    default_priority = 500

    def apply(self, **kwargs: object) -> None:
        """Replace what would be downloads."""
        for node in self.document.findall(addnodes.download_reference):
            folder = (self.env.srcdir / self.env.docname).parent
            target = folder / node['reftarget']
            if not target.is_file():
                continue  # Sphinx warns of it
            if target.suffix == '.npz':
                continue  # no text; it stays a download
            page = source_page(self.env, target)
            uri = relative_uri(f'{self.env.docname}.html', f'{page}.html')
            link = nodes.reference('', '', *node.children, refuri=uri)
            node.replace_self(link)


def source_link(app: Sphinx, domain: str, info: dict[str, str]) -> str | None:
    """See sphinx.ext.linkcode; pages of the reference are two folders deep."""
    value = import_module(info['module'])
    for name in info['fullname'].split('.'):
        value = getattr(value, name, None)
    page = source_of(app.env, value)
    return page and f'../../{page}'


def pages(app: Sphinx) -> Iterator[tuple[str, dict, str]]:
    """See the event html-collect-pages."""
    for name, path in sorted(_wanted(app.env).items()):
        if not path.is_file():
            continue  # gone since an earlier build
        text = path.read_text()
        try:
            language = get_lexer_for_filename(name).aliases[0]
        except ClassNotFound:
            language = 'text'
        code = app.builder.highlighter.highlight_block(
            text, language, linenos='inline', lineanchors='L'
        )
        body = f'<h1><code>{name}</code></h1>{code}'
        yield f'{FOLDER}/{name}', dict(title=name, body=body), 'page.html'


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    # A function: Sphinx would try to store any other callable.
    app.config.linkcode_resolve = lambda *args: source_link(app, *args)
    app.add_transform(LinkSourcePages)
    app.connect('html-collect-pages', pages)
    return dict(parallel_read_safe=False)

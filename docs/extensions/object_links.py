"""Links from names of Python to the reference and the source.

A docstring writes ``:class:`OIMLoss``` for what its module sees under this
name, or for a public name of another package. Pages write ``mmps.OIMLoss`` as
configs do, and public names. A name that is not there is an error.
"""

import inspect
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from api_pages import FOLDER, pages, resolve
from docutils import nodes
from source_pages import source_of
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms import SphinxTransform
from sphinx.util.nodes import make_refnode
from sphinx.util.osutil import relative_uri


def link_object(
    app: Sphinx,
    env: BuildEnvironment,
    node: addnodes.pending_xref,
    contnode: nodes.Element,
) -> nodes.Element | None:
    """See the event missing-reference; None makes it an error."""
    if node.get('refdomain') != 'py':
        return None
    if node['reftarget'] == 'optional':  # of a type in a docstring
        return contnode
    found = _find(node)
    if found is None:
        return None
    name, value = found
    if not name.startswith('mmps'):
        return contnode
    objects = env.get_domain('py').objects
    public = _public_name(name)
    if public in objects:
        entry = objects[public]
        here = node['refdoc']
        return make_refnode(
            app.builder, here, entry.docname, entry.node_id, contnode
        )
    page = source_of(env, value)
    if page is None:
        return contnode
    path, _, line = page.partition('#')
    uri = relative_uri(f'{node["refdoc"]}.html', path)
    return nodes.reference('', '', contnode, refuri=f'{uri}#{line}')


def _find(node: addnodes.pending_xref) -> tuple[str, object] | None:
    """The object that a reference means, and its name where it is defined."""
    for name in _spellings(node):
        try:
            value = resolve(name)
        except (AttributeError, ImportError):
            continue
        return _defined_as(name, value), value
    return None


def _spellings(node: addnodes.pending_xref) -> Iterator[str]:
    target = node['reftarget'].lstrip('.~')
    module, owner = node.get('py:module'), node.get('py:class')
    if module and owner:
        yield f'{module}.{owner}.{target}'
    if module:
        yield f'{module}.{target}'
        for place in _modules(module):
            yield f'{place}.{target}'
    yield target
    # Parts have one name each, wherever they are; configs write mmps.NAME.
    owner, dot, attribute = target.removeprefix('mmps.').partition('.')
    for name in _public_names().values():
        if name.endswith(f'.{owner}'):
            yield f'{name}{dot}{attribute}'


@cache
def _modules(package: str) -> list[str]:
    """The modules of a package: the docstrings come from one of them."""
    paths = getattr(import_module(package), '__path__', ())
    return [f'{package}.{found.name}' for found in pkgutil.iter_modules(paths)]


def _defined_as(name: str, value: object) -> str:
    if inspect.ismodule(value):
        return value.__name__
    if inspect.isclass(value) or inspect.isroutine(value):
        return f'{value.__module__}.{value.__qualname__}'
    owner, _, attribute = name.rpartition('.')
    return f'{_defined_as(owner, resolve(owner))}.{attribute}'


class LinkLiterals(SphinxTransform):
    """Make references of what is written as code in pages."""

    default_priority = 400

    def apply(self, **kwargs: object) -> None:
        """Replace literals that are names of ours."""
        if self.env.docname.startswith(FOLDER):
            return
        last = {name.rpartition('.')[2] for name in _public_names().values()}
        for node in list(self.document.findall(nodes.literal)):
            text = node.astext().removesuffix('()')
            if isinstance(node.parent, (nodes.reference, nodes.title)):
                continue
            named = re.fullmatch(r'mmps(\.[A-Za-z]\w*)+', text)
            owner = text.partition('.')[0]
            if named or (owner in last and owner[0].isupper()):
                link = addnodes.pending_xref(
                    '', refdomain='py', reftype='obj', reftarget=text,
                    refdoc=self.env.docname, refwarn=True,
                )  # fmt: skip
                node.replace_self(link)
                link += node


@cache
def _public_names() -> dict[str, str]:
    names = [name for page in pages().values() for name in page]
    return {_defined_as(name, resolve(name)): name for name in names}


def _public_name(name: str) -> str:
    """The name in the reference of something, perhaps of a class's member."""
    owner, _, attribute = name.rpartition('.')
    known = _public_names()
    if name in known:
        return known[name]
    return f'{known[owner]}.{attribute}' if owner in known else name


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_transform(LinkLiterals)
    app.connect('missing-reference', link_object)
    return dict(parallel_read_safe=True)

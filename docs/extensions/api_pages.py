"""Reference pages, one per package: the names of public_names.txt."""

import inspect
from collections import defaultdict
from importlib import import_module
from pathlib import Path

from sphinx.application import Sphinx

CHECKOUT = Path(__file__).resolve().parents[2]
NAMES = CHECKOUT / 'tests' / 'data' / 'public_names.txt'
FOLDER = 'docs/api'


def public_names() -> list[str]:
    """Dotted names that can be imported."""
    lines = NAMES.read_text().splitlines()
    return [x.split()[1] for x in lines if x.startswith('import ')]


def resolve(name: str) -> object:
    """The object of a dotted name.

    Raises:
        AttributeError, ImportError: There is none.
    """
    parts = name.split('.')
    for end in range(len(parts), 0, -1):
        try:
            value = import_module('.'.join(parts[:end]))
        except ModuleNotFoundError as err:
            if end == 1 or not name.startswith(str(err.name)):
                raise
            continue
        for part in parts[end:]:
            value = getattr(value, part)
        return value
    raise ImportError(name)


def pages() -> dict[str, list[str]]:
    """Names by package; a name of two packages is on the deeper one's."""
    homes = {}
    for name in public_names():
        package = name.rpartition('.')[0]
        if not hasattr(import_module(package), '__path__'):
            package = package.rpartition('.')[0]
        value = resolve(name)
        key = (value.__module__, value.__qualname__) if _code(value) else name
        if key not in homes or len(package) > len(homes[key][0]):
            homes[key] = package, name
    found = defaultdict(list)
    for package, name in homes.values():
        found[package].append(name)
    return {package: sorted(found[package]) for package in sorted(found)}


def _code(value: object) -> bool:
    return inspect.isclass(value) or inspect.isfunction(value)


def write_pages(app: Sphinx) -> None:
    """Write docs/api, and remove what is there of other packages."""
    folder = app.srcdir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {f'{package}.rst': names for package, names in pages().items()}
    for file in folder.glob('*.rst'):
        if file.name not in wanted:
            file.unlink()
    for name, names in wanted.items():
        file, text = folder / name, _page(name.removesuffix('.rst'), names)
        # An unchanged file is not read again.
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)


def _page(package: str, names: list[str]) -> str:
    lines = [package, '=' * len(package), '', f'.. automodule:: {package}', '']
    for name in names:
        value = resolve(name)
        kind = 'data'
        options = []
        if inspect.isclass(value):
            error = issubclass(value, BaseException)
            kind = 'exception' if error else 'class'
            options = ['   :members:']
            if value.__bases__ != (object,):
                options.append('   :show-inheritance:')
        elif inspect.isfunction(value):
            kind = 'function'
        lines += [f'.. auto{kind}:: {name}', *options, '']
    return '\n'.join(lines)


def skip_member(
    app: Sphinx, what: str, name: str, value: object, skip: bool, options: dict
) -> bool | None:
    """Leave out fields of named tuples, and values that say nothing."""
    text = getattr(value, '__doc__', None) or ''
    is_field = text.startswith('Alias for field number')
    return True if is_field or _says_nothing(value) else None


def clean_data(
    app: Sphinx,
    what: str,
    name: str,
    value: object,
    options: dict,
    lines: list[str],
) -> None:
    """Drop what a value's type says of itself: ``str(object='') -> str``."""
    own = (inspect.getdoc(type(value)) or '').splitlines()
    if what == 'data' and lines[:1] == own[:1]:
        lines.clear()


def _says_nothing(value: object) -> bool:
    plain = isinstance(value, (str, int, float, bool, tuple, list, dict))
    return plain and value.__doc__ == type(value).__doc__


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect('builder-inited', write_pages)
    app.connect('autodoc-skip-member', skip_member)
    app.connect('autodoc-process-docstring', clean_data)
    return dict(parallel_read_safe=True)

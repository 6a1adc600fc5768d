"""Public names, on which programs and configs rely.

``python tests/public_names.py`` writes tests/data/public_names.txt anew.
"""

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

from mmengine.registry import Registry

import mmps.registry
from mmps.apis import list_models
from mmps.utils.part_imports import register_all_modules

FILE = Path(__file__).parent / 'data' / 'public_names.txt'
# Commands, whose options are the interface, and the reader of two data sets.
NOT_PUBLIC = ('mmps.cli', 'mmps.datasets.mat')


def packages() -> list[str]:
    """Names of mmps and all packages below it."""
    found = pkgutil.walk_packages(mmps.__path__, 'mmps.')
    return ['mmps', *(module.name for module in found if module.ispkg)]


def exports(package: str) -> list[str]:
    """Names to import from a package: ``__all__``.

    A package without it has those of its modules that are defined there and
    start with no underscore.
    """
    module = import_module(package)
    if hasattr(module, '__all__'):
        return [f'{package}.{name}' for name in module.__all__]
    return [
        f'{found.name}.{name}'
        for found in pkgutil.iter_modules(module.__path__, f'{package}.')
        if not found.ispkg
        for name in _definitions(found.name)
    ]


def _definitions(name: str) -> list[str]:
    return [
        key
        for key, value in vars(import_module(name)).items()
        if not key.startswith('_')
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    ]


def parts() -> list[str]:
    """Registered parts of the package: ``REGISTRY mmps.NAME``.

    In a process of several tests there may be some of these, too.
    """
    register_all_modules(init_default_scope=False)
    return [
        f'{key} mmps.{name}'
        for key, registry in vars(mmps.registry).items()
        if isinstance(registry, Registry) and registry.scope == 'mmps'
        for name, part in registry.module_dict.items()
        if part.__module__.startswith('mmps.')
    ]


def public_names() -> list[str]:
    """Sorted lines of the file."""
    public = [name for name in packages() if name not in NOT_PUBLIC]
    names = [f'import {n}' for package in public for n in exports(package)]
    names += [f'part {name}' for name in parts()]
    names += [f'config {name}' for name in list_models()]
    return sorted(names)


def main() -> None:
    """Write the file, or say that nothing has changed."""
    text = ''.join(f'{name}\n' for name in public_names())
    changed = not FILE.is_file() or text != FILE.read_text()
    FILE.write_text(text)
    print(f'{FILE}: {"written" if changed else "no change"}')


if __name__ == '__main__':
    main()

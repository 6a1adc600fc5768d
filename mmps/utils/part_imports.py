"""Imports of everything that registers parts."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib import import_module

from mmengine.registry import DefaultScope


def register_all_modules(init_default_scope: bool = True) -> None:
    """Import all packages that register parts.

    Configs do not need it: the registries import on first use.

    Args:
        init_default_scope: Also make ``mmps`` the default scope. Defaults
            to True.
    """
    for name in ('datasets', 'engine', 'evaluation', 'models'):
        import_module(f'mmps.{name}')
    import_module('mmps.visualization')
    if init_default_scope:
        current = DefaultScope.get_current_instance()
        if current is None or current.scope_name != 'mmps':
            DefaultScope.get_instance('mmps', scope_name='mmps')


def import_parts() -> None:
    """Import mmdet's and mmps' registered parts, quietly."""
    with quiet_imports():
        for package in ('mmdet', 'mmps'):
            utils = import_module(f'{package}.utils')
            utils.register_all_modules(False)


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Drop what is printed to stdout and what is warned of."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield

"""Import mmdet without its remarks on packages that are not needed."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from importlib import import_module


@contextlib.contextmanager
def quiet_imports() -> Iterator[None]:
    """Drop what is printed to stdout and what is warned of."""
    with (
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter('ignore')
        yield


def import_parts() -> None:
    """Import mmdet's and mmps' registered parts, quietly."""
    with quiet_imports():
        for package in ('mmdet', 'mmps'):
            utils = import_module(f'{package}.utils')
            utils.register_all_modules(False)

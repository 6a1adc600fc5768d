"""Paths of a data set's files, and checks that its images are there."""

import os
from pathlib import Path

ROOT_VARIABLE = 'MMPS_DATA_ROOT'


def resolve_data_root(data_root: str | os.PathLike) -> str:
    """Apply the ``MMPS_DATA_ROOT`` rule to a configured root.

    A relative root that starts with ``data/`` has this first part replaced
    by the environment variable ``MMPS_DATA_ROOT``, if that is set and not
    empty. Any other root is taken as it is, relative to the working
    directory.

    Args:
        data_root: Root folder from the config, for example ``data/PRW``.

    Returns:
        The folder to read.
    """
    root = Path(data_root)
    replacement = os.environ.get(ROOT_VARIABLE)
    if replacement and root.parts[:1] == ('data',):
        root = Path(replacement).expanduser().joinpath(*root.parts[1:])
    return str(root)


def missing_root_message(root: str, layout: str, split: str) -> str:
    """Say how to point at a data set that is not where it was looked for.

    Args:
        root: The folder that does not exist.
        layout: What belongs in it.
        split: 'train' or 'test', for the option's name.
    """
    return (
        f'{layout} in this folder. Put the data set there, or set data_root '
        f'in the config (--cfg-options '
        f'{split}_dataloader.dataset.data_root=DIR), or set the environment '
        f'variable {ROOT_VARIABLE} to the folder that stands for "data/" '
        f'(looked for {Path(root).resolve()})'
    )


def list_files(folder: str | os.PathLike) -> set[str]:
    """Names of the files in a folder and below, with ``/`` between parts.

    One directory scan instead of one look per file. Links that lead back to
    a folder above them are not followed.

    Args:
        folder: The folder; a missing one is empty.
    """
    found: set[str] = set()
    pending = [('', os.fspath(folder), frozenset())]
    while pending:
        prefix, path, above = pending.pop()
        try:
            status = os.stat(path)
            entries = os.scandir(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        here = status.st_dev, status.st_ino
        with entries:
            if here in above:
                continue
            for entry in entries:
                if entry.is_dir():
                    name = f'{prefix}{entry.name}/'
                    pending.append((name, entry.path, above | {here}))
                else:
                    found.add(prefix + entry.name)
    return found

"""Files that are either there as a whole or not at all."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

TEMPORARY = '.tmp'


def write_whole(
    path: str | os.PathLike, write: Callable[[BinaryIO], object]
) -> None:
    """Write a file so that a crash leaves the old one or the new one.

    It is written beside the target, forced to the disk and renamed.

    Args:
        path: The target; a file that is there is replaced.
        write: Gets the open file.

    Raises:
        OSError: It cannot be written, such as for want of space; names the
            file.
    """
    path = Path(path)
    beside = path.with_name(path.name + TEMPORARY)
    try:
        with beside.open('wb') as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as err:
        beside.unlink(missing_ok=True)
        if isinstance(err, OSError) and err.errno and not err.filename:
            err.filename = str(path)
        raise
    sync_folder(path.parent)


def sync_folder(path: str | os.PathLike) -> None:
    """Force the names in a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Files: existence, writing as a whole, and limits of unpacked sizes."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from .errors import UsageError

TEMPORARY = '.tmp'
# Small files may hold nothing but zeros.
_ALWAYS = 64 * 2**20
# Boxes, ids and embeddings shrink to a third at best, empty arrays further.
_RATIO = 200


def existing_file(path: str, what: str) -> str:
    """Return ``path`` if it is a file.

    Args:
        path: The path to look at.
        what: What it should be, for the message ("checkpoint").

    Raises:
        UsageError: There is no such file.
    """
    if not Path(path).is_file():
        kind = 'is not a file' if Path(path).exists() else 'does not exist'
        raise UsageError(f'{what} {path} {kind}')
    return path


def write_whole(
    path: str | os.PathLike,
    content: str | bytes | Callable[[BinaryIO], object],
    sync: bool = True,
) -> None:
    """Write a file so that a crash leaves the old one or the new one.

    It is written beside the target, forced to the disk and renamed.

    Args:
        path: The target; a file that is there is replaced.
        content: Text, which is written as UTF-8, bytes, or a function that
            gets the open file.
        sync: Force it to the disk, so that it is whole after a power cut,
            too. That takes some milliseconds. Defaults to True.

    Raises:
        OSError: It cannot be written, such as for want of space; names the
            file.
    """
    path = Path(path)
    beside = path.with_name(path.name + TEMPORARY)
    try:
        with beside.open('wb') as file:
            if callable(content):
                content(file)
            else:
                file.write(
                    content.encode() if isinstance(content, str) else content
                )
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException as err:
        beside.unlink(missing_ok=True)
        if isinstance(err, OSError) and err.errno and not err.filename:
            err.filename = str(path)
        raise
    if sync:
        sync_folder(path.parent)


def sync_folder(path: str | os.PathLike) -> None:
    """Force the names in a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def most_bytes(packed: int) -> int:
    """Largest size of decompressed data that is accepted.

    Args:
        packed: Size of the compressed data in bytes.

    Returns:
        64 MiB, or 200 times the compressed size where that is more.
    """
    return max(_ALWAYS, _RATIO * packed)

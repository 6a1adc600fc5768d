"""Manifest of an exact gallery: its header, and its valid segments."""

import json
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import GalleryError
from .header import GalleryHeader

MANIFEST = 'gallery.json'
_SEGMENT = re.compile(r'[0-9]{8,18}')


def manifest_text(
    header: GalleryHeader, segments: Sequence[str], replaces: Sequence[str]
) -> bytes:
    """The file's content.

    Args:
        header: Of the gallery.
        segments: Names of the segments, oldest first.
        replaces: Those of them that delete rows or frames of older ones.
    """
    data = header.to_json()
    data |= dict(segments=list(segments), replaces=list(replaces))
    data['checksum'] = _checksum(data)
    return json.dumps(data, indent=1).encode()


def read_manifest(folder: Path) -> tuple[GalleryHeader, dict[str, Any]]:
    """Read what :func:`manifest_text` wrote.

    Args:
        folder: Of the gallery.

    Returns:
        The header, and a dict with ``segments`` and ``replaces``.

    Raises:
        FileNotFoundError: There is no manifest.
        GalleryError: It is broken, was changed, or is of another version.
    """
    path = folder / MANIFEST
    try:
        data = json.loads(path.read_text())
    except (ValueError, RecursionError) as err:
        raise GalleryError(f'{path}: broken ({err})') from err
    header = GalleryHeader.from_json(data, str(folder))
    for key in ('segments', 'replaces'):
        names = data.get(key)
        if (
            not isinstance(names, list)
            or not all(isinstance(n, str) for n in names)
            or not all(map(_SEGMENT.fullmatch, names))
            or len(set(names)) < len(names)
        ):
            raise GalleryError(
                f'{path}: {key}: expected names of segments, each once'
            )
    if unknown := set(data['replaces']) - set(data['segments']):
        raise GalleryError(
            f'{path}: replaces: {min(unknown)} is none of the segments'
        )
    if data.pop('checksum', None) not in (None, _checksum(data)):
        raise GalleryError(
            f'{path}: was changed since it was written; its values have '
            'another checksum'
        )
    return header, data


def manifest_stamp(folder: Path) -> tuple | None:
    """A value that changes whenever the manifest is replaced."""
    try:
        status = os.stat(folder / MANIFEST)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _checksum(data: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(data, sort_keys=True).encode())

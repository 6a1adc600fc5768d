"""Recognition of scenes trees on disk."""

import json
import shutil
from pathlib import Path
from typing import Any

from mmps.utils.files import write_whole

__all__ = ['MARKER', 'WORK', 'existing_counts', 'to_json']

MARKER = 'scenes.json'  # written last: it marks a complete tree
WORK = '.scenes_work'  # there while a tree is being made
_OWN = {
    'frames',
    'annotations',
    'frame_train.mat',
    'frame_test.mat',
    'ID_train.mat',
    'ID_test2.mat',
    'query_info.txt',
    'Image',
    'annotation',
    MARKER,
    WORK,
}


def existing_counts(
    root: Path, wanted: dict[str, Any], overwrite: bool
) -> dict[str, int] | None:
    """Return what a complete tree of the wanted settings holds.

    Args:
        root: The folder, which may be missing.
        wanted: ``renderer`` and ``config``, as the marker holds them.
        overwrite: Empty the folder where it holds other scenes.

    Returns:
        dict | None: The counts; None where the tree is to be made or
        completed.

    Raises:
        FileExistsError: The folder holds something else.
    """
    if root.exists() and not root.is_dir():
        raise FileExistsError(f'{root} is a file, expected a folder')
    if not root.is_dir() or not any(root.iterdir()):
        return None
    found = _marker(root / MARKER)
    if found and {k: found.get(k) for k in wanted} == wanted:
        shutil.rmtree(root / WORK, ignore_errors=True)
        return found['counts']
    begun = _marker(root / WORK / MARKER)
    if not found and begun == wanted:
        return None
    foreign = sorted(p.name for p in root.iterdir() if p.name not in _OWN)
    if not (found or begun) or foreign:
        names = ', '.join(foreign or sorted(p.name for p in root.iterdir()))
        raise FileExistsError(
            f'{root} holds something that is not a scenes tree '
            f'({names[:80]}); expected an empty folder or none'
        )
    if not overwrite:
        differ = _differences(found or begun, wanted)
        raise FileExistsError(
            f'{root} holds scenes of other settings ({differ}); choose '
            'another folder, or overwrite them'
        )
    _empty(root, {key: (found or begun).get(key) for key in wanted})
    return None


def _empty(root: Path, settings: dict[str, Any]) -> None:
    """Remove a tree; interrupted, it leaves one that has begun."""
    work = root / WORK
    work.mkdir(exist_ok=True)
    write_whole(work / MARKER, to_json(settings))
    (root / MARKER).unlink(missing_ok=True)
    # First what says which frames are done.
    for path in (*work.iterdir(), *root.iterdir()):
        if path not in (work, work / MARKER):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(work)


def _marker(path: Path) -> dict | None:
    try:
        content = json.loads(path.read_text())
        return content if 'renderer' in content else None
    except (OSError, ValueError):
        return None


def _differences(found: dict, wanted: dict) -> str:
    old, new = found.get('config', {}), wanted['config']
    keys = [key for key in new if old.get(key) != new[key]]
    if not keys:
        return f'renderer {found.get("renderer")}, not {wanted["renderer"]}'
    return ', '.join(
        f'{key} {old.get(key)}, not {new[key]}' for key in keys[:3]
    )


def to_json(content: dict[str, Any]) -> bytes:
    """Return the marker's bytes."""
    return (json.dumps(content, indent=1) + '\n').encode()

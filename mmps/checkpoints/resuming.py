"""Finding the checkpoint that a training goes on from."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from mmps.utils.errors import UsageError

from .reading import read_checkpoint

_NEEDED = ('meta', 'state_dict', 'message_hub', 'optimizer')


class Resumable(NamedTuple):
    """A checkpoint to go on from.

    Args:
        path: The file.
        seed: The seed of its run.
        passed_over: Newer files and why they cannot be used, one line each.
    """

    path: str
    seed: int | None
    passed_over: list[str]


def newest_checkpoint(cfg: Config, **reading: Any) -> Resumable | None:
    """The newest checkpoint of a run's folder that can be read as a whole.

    Args:
        cfg: With ``work_dir`` and, for a folder or names of its own, the
            checkpoint hook's ``out_dir`` and ``filename_tmpl``.
        **reading: Options of
            :func:`~mmps.checkpoints.reading.read_checkpoint`.

    Returns:
        None if the folder has no checkpoint of a training.

    Raises:
        UsageError: There are checkpoints, but none can be used.
    """
    hook = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
    folder = Path(cfg.work_dir)
    if hook.get('out_dir'):
        folder = Path(hook['out_dir'], folder.name)
    name = re.compile(
        re.escape(hook['filename_tmpl']).replace(r'\{\}', r'\d+')
        if hook.get('filename_tmpl')
        else r'(iter|epoch)_\d+\.pth'
    )
    files = [
        file
        for file in folder.glob('*')
        if file.is_file() and name.fullmatch(file.name)
    ]
    passed_over = []
    for file in sorted(files, key=_age):
        try:
            seed = seed_to_resume(str(file), **reading)
        except UsageError as err:
            passed_over.append(str(err))
        else:
            return Resumable(str(file), seed, passed_over)
    if passed_over:
        raise UsageError(
            f'none of the checkpoints in {folder} can be resumed: '
            f'{"; ".join(passed_over)}'
        )
    return None


def seed_to_resume(path: str, **reading: Any) -> int | None:
    """The seed that a checkpoint's run was started with.

    Args:
        path: The file.
        **reading: See :func:`newest_checkpoint`.

    Raises:
        UsageError: It cannot be read or is not one to resume from.
    """
    checkpoint = read_checkpoint(path, **reading)
    missing = [key for key in _NEEDED if key not in checkpoint]
    if missing:
        raise UsageError(
            f'checkpoint {path}: has no {missing[0]}, a training cannot go '
            'on from it'
        )
    return checkpoint['meta'].get('seed')


def _age(file: Path) -> tuple[int, int]:
    """Sort key: the newest first, and of equally old the longer training."""
    step = int(re.findall(r'\d+', file.name)[-1])
    return -os.stat(file).st_mtime_ns, -step

"""Checkpoints that run code when they are read carelessly."""

import builtins
import io
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import HistoryBuffer


class Call:
    """A call that is carried out while a pickle of it is read.

    Args:
        function: Whatever can be pickled, another ``Call`` as well.
        args: Likewise.
    """

    def __init__(self, function: Any, *args: Any) -> None:
        self.parts = function, args

    def __call__(self) -> None:
        """Defined because pickle stores callables only."""

    def __reduce__(self) -> tuple:
        return self.parts


def _direct(marker: Path) -> Call:
    return Call(builtins.exec, f'open({str(marker)!r}, "w").close()')


def _shell(marker: Path) -> Call:
    import os

    return Call(os.system, f'touch {marker}')


def _gadget(marker: Path) -> Call:
    """``exec``, reached from a method of HistoryBuffer by getattr."""
    spaces = Call(getattr, HistoryBuffer.mean, '__globals__')
    found = Call(Call(getattr, spaces, 'get'), '__builtins__')
    function = Call(Call(getattr, found, 'get'), 'exec')
    return Call(function, f'open({str(marker)!r}, "w").close()')


def _in_meta(path: Path, checkpoint: dict, code: Call) -> None:
    meta = {**checkpoint.get('meta', {}), 'hooks': [{'notes': (code,)}]}
    torch.save({**checkpoint, 'meta': meta}, path)


def _in_state(path: Path, checkpoint: dict, code: Call) -> None:
    state = {**checkpoint['state_dict'], 'evil': code}
    torch.save(
        {**checkpoint, 'state_dict': state},
        path,
        _use_new_zipfile_serialization=False,
    )


def _protocol_4(path: Path, checkpoint: dict, code: Call) -> None:
    torch.save({**checkpoint, 'evil': code}, path, pickle_protocol=4)


def _pickle(path: Path, checkpoint: dict, code: Call) -> None:
    path.write_bytes(pickle.dumps(code, 2))


def _tar(path: Path, checkpoint: dict, code: Call) -> None:
    """The form of torch before version 0.2."""
    with tarfile.open(path, 'w') as archive:
        for name in ('sys_info', 'pickle', 'tensors', 'storages'):
            content = pickle.dumps(code, 2)
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


_Writer = Callable[[Path, dict, Call], None]
# How the code is written, and how it is put into the file.
KINDS: dict[str, tuple[Callable[[Path], Call], _Writer]] = {
    'shell-in-meta': (_shell, _in_meta),
    'exec-in-meta': (_direct, _in_meta),
    'gadget-in-meta': (_gadget, _in_meta),
    'legacy-form': (_direct, _in_state),
    'legacy-gadget': (_gadget, _in_state),
    'protocol-4': (_direct, _protocol_4),
    'pickle': (_direct, _pickle),
    'tar': (_direct, _tar),
}
# Those that can be read completely where they are trusted.
READABLE = ('shell-in-meta', 'exec-in-meta', 'gadget-in-meta',
            'legacy-form', 'legacy-gadget', 'protocol-4')  # fmt: skip


def write_bad_checkpoint(
    kind: str, path: Path, marker: Path, checkpoint: dict | None = None
) -> Path:
    """Write a checkpoint that creates a file when it is read carelessly.

    Args:
        kind: One of :data:`KINDS`.
        path: The checkpoint.
        marker: The file that is created.
        checkpoint: What it holds beside the code. Defaults to None, weights
            of nothing.

    Returns:
        ``path``.
    """
    make, write = KINDS[kind]
    write(path, checkpoint or dict(state_dict={}), make(marker))
    return path

"""Loading weights without running code that a file may carry."""

import hashlib
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor, nn

from mmps.utils.errors import UsageError

_NUMBERS = (
    'bool', 'uint8', 'int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64',
    'int64', 'float16', 'float32', 'float64',
)  # fmt: skip


def read_checkpoint(path: str | os.PathLike) -> dict[str, Any]:
    """Read a checkpoint of plain values, arrays and tensors.

    Anything else in the file, which could run code while it is read, is
    refused. mmengine's log of a training passes.

    Args:
        path: ``.pth`` file.

    Returns:
        What was saved, tensors on the CPU.

    Raises:
        UsageError: There is no such file, or it is no such checkpoint.
    """
    if not Path(path).is_file():
        raise UsageError(f'checkpoint {path} does not exist')
    try:
        with torch.serialization.safe_globals(_plain_types()):
            data = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError as err:
        reason = str(err)
        for mark in ('Unsupported global: ', 'WeightsUnpickler error: '):
            reason = reason.rpartition(mark)[2] or reason
        raise UsageError(
            f'checkpoint {path}: holds more than weights and plain values, '
            f'refused ({reason.strip().splitlines()[0]})'
        ) from err
    except Exception as err:  # junk makes the reader raise nearly anything
        raise UsageError(
            f'checkpoint {path}: cannot be read ({_first_line(err)})'
        ) from err
    if not isinstance(data, dict):
        raise UsageError(f'checkpoint {path}: expected a dict')
    return data


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict in a checkpoint, or the checkpoint if it is one."""
    state = checkpoint.get('state_dict', checkpoint)
    if not isinstance(state, Mapping):
        raise UsageError(f'state_dict: expected a dict, got {type(state)}')
    return {
        str(key).removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def load_weights(model: nn.Module, path: str | os.PathLike) -> str:
    """Load a checkpoint's weights into a model, all of them.

    Args:
        model: The model, changed in place.
        path: See :func:`read_checkpoint`.

    Returns:
        SHA-256 of the weights' names and values; the same for a training's
        checkpoint and for the published one without the optimizer.

    Raises:
        UsageError: Weights are missing or left over, or have other shapes.
    """
    state = weights_of(read_checkpoint(path))
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except RuntimeError as err:
        raise UsageError(
            f'checkpoint {path}: does not fit the config '
            f'({" ".join(str(err).split()[:40])})'
        ) from err
    for what, keys in (('lacks', missing), ('has in addition', unexpected)):
        if keys:
            raise UsageError(
                f'checkpoint {path}: does not fit the config; it {what} '
                f'{len(keys)} weights (first: {", ".join(keys[:3])})'
            )
    return hash_weights(state)


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, kinds, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f'{key} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _plain_types() -> list[Any]:
    core = getattr(np, '_core', None) or np.core
    kinds = [type(np.dtype(name)) for name in _NUMBERS]
    return [
        np.ndarray,
        np.dtype,
        *kinds,
        core.multiarray._reconstruct,
        core.multiarray.scalar,
        HistoryBuffer,
        # How a HistoryBuffer's methods are stored.
        (_history_method, 'builtins.getattr'),
    ]


def _history_method(owner: Any, name: str) -> Any:
    """Stand in for ``getattr``, which would lead anywhere."""
    kind = owner if isinstance(owner, type) else type(owner)
    known = {'max', 'min', 'mean', 'current', 'statistics'}
    if kind is not HistoryBuffer or name not in known:
        raise pickle.UnpicklingError(f'getattr of {name!r}')
    return getattr(owner, name)


def _first_line(err: BaseException) -> str:
    return (str(err).splitlines() or [type(err).__name__])[0]

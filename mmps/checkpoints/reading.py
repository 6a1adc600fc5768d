"""Loading weights without running code that a file may carry."""

import hashlib
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mmps.utils.errors import UsageError

from .closed_pickle import RefusedError
from .plain_load import load_plain
from .published import recognise
from .safetensors_file import is_safetensors, read_safetensors

# Where a checkpoint has its weights: mmengine's, and the field's own code.
CONTAINERS = ('state_dict', 'model')


def read_checkpoint(
    path: str | os.PathLike, trust: bool = False, map_location: Any = 'cpu'
) -> dict[str, Any]:
    """Read a checkpoint of plain values, arrays and tensors.

    Anything else in the file, which could run code while it is read, is
    refused. mmengine's log of a training passes.

    Args:
        path: ``.pth`` file, or safetensors.
        trust: Read a file that would be refused, with a warning; code in it
            is run. Defaults to False.
        map_location: As for ``torch.load``. Defaults to the CPU.

    Returns:
        What was saved; of a safetensors file ``state_dict`` and ``meta``.

    Raises:
        UsageError: There is no such file, or it is no such checkpoint.
    """
    if not Path(path).is_file():
        what = 'is not a file' if Path(path).exists() else 'does not exist'
        raise UsageError(f'checkpoint {path} {what}')
    try:
        data = _read(path, trust, map_location)
    except RefusedError as err:
        raise UsageError(
            f'checkpoint {path}: holds more than weights and plain values '
            f'({err}), refused: reading that can run code; '
            '--trust-checkpoint reads it, for files whose source you trust'
        ) from None
    except Exception as err:  # junk makes the reader raise nearly anything
        raise UsageError(
            f'checkpoint {path}: cannot be read ({_reason(path, err)}); '
            'expected a whole .pth or .safetensors file'
        ) from err
    if not isinstance(data, dict):
        raise UsageError(f'checkpoint {path}: expected a dict')
    return data


def weights_of(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The state dict in a checkpoint, or the checkpoint if it is one.

    Args:
        checkpoint: Has it as ``state_dict`` (mmengine) or ``model``, or is
            one; ``module.`` in front of keys goes.

    Raises:
        UsageError: What is there is no dict.
    """
    state: Any = checkpoint
    for name in CONTAINERS:
        if name in checkpoint:
            state = checkpoint[name]
            break
    if not isinstance(state, Mapping):
        raise UsageError(f'{name}: expected a dict, got {type(state)}')
    return {
        str(key).removeprefix('module.'): value
        for key, value in state.items()
        if isinstance(value, Tensor)
    }


def load_state(
    model: nn.Module, checkpoint: Mapping[str, Any], source: str
) -> dict[str, Tensor]:
    """Load the weights of a checkpoint that was read, all of them.

    Args:
        model: The model, changed in place.
        checkpoint: See :func:`weights_of`.
        source: Where it comes from, for messages.

    Returns:
        The weights.

    Raises:
        UsageError: Weights are missing or left over, have other shapes, or
            are an identity memory of other people.
    """
    state = weights_of(checkpoint)
    if families := recognise(state):
        raise UsageError(
            f"checkpoint {source}: is one of {families[0].title}'s published "
            'code; tools/model_converters/import_published.py makes one of '
            'mmps from it'
        )
    try:
        missing, unexpected = model.load_state_dict(state, strict=False)
    except (RuntimeError, ValueError) as err:
        raise UsageError(
            f'checkpoint {source}: does not fit the config '
            f'({" ".join(str(err).split()[:40])})'
        ) from err
    for what, keys in (('lacks', missing), ('has in addition', unexpected)):
        if keys:
            raise UsageError(
                f'checkpoint {source}: does not fit the config; it {what} '
                f'{len(keys)} weights (first: {", ".join(keys[:3])})'
            )
    return state


def hash_weights(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names, kinds, shapes and values, in order of the names."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].detach().cpu().contiguous()
        digest.update(f'{key} {value.dtype} {tuple(value.shape)}'.encode())
        digest.update(value.reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def _read(path: str | os.PathLike, trust: bool, map_location: Any) -> Any:
    if is_safetensors(path):
        return read_safetensors(path, map_location)
    try:
        return load_plain(path, map_location)
    except RefusedError as err:
        if not trust:
            raise
        warnings.warn(
            f'checkpoint {path}: holds more than weights and plain values '
            f'({err}); it is trusted, and code in it is run',
            stacklevel=3,
        )
        return torch.load(path, map_location=map_location, weights_only=False)


def _reason(path: str | os.PathLike, err: Exception) -> str:
    with open(path, 'rb') as file:
        if file.read(64).lstrip().startswith(b'<'):
            return 'it is a web page, such as one that asks before a download'
    # torch's advice follows in further sentences.
    return (str(err) or type(err).__name__).splitlines()[0].partition('. ')[0]

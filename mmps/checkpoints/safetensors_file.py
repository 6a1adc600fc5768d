"""Weights and a small meta in safetensors files, which cannot hold code."""

import contextlib
import json
import os
import struct
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

# Values that are no strings; the format's metadata holds strings only.
_JSON = ('dataset_meta', 'epoch', 'iter', 'seed')


def is_safetensors(path: str | os.PathLike) -> bool:
    """Whether a file starts as a safetensors file does: size, then JSON."""
    with open(path, 'rb') as file:
        head = file.read(9)
        size = os.fstat(file.fileno()).st_size
    header = int.from_bytes(head[:8], 'little')
    return head[8:] == b'{' and header + 8 <= size


def read_safetensors(
    path: str | os.PathLike, map_location: Any = 'cpu'
) -> dict[str, Any]:
    """Read a file in the form that a checkpoint has.

    Args:
        path: The file.
        map_location: A device; what else ``torch.load`` takes stands for
            the CPU. Defaults to the CPU.

    Returns:
        ``state_dict`` and ``meta``: epoch, iter, seed and dataset_meta as
        :func:`safetensors_bytes` got them, all else strings.
    """
    if not isinstance(map_location, (str, torch.device)):
        map_location = 'cpu'
    with safe_open(path, framework='pt', device=str(map_location)) as file:
        meta: dict[str, Any] = dict(file.metadata() or {})
        names = file.keys()
        state = {name: file.get_tensor(name) for name in names}
    meta.pop('format', None)
    for key in _JSON:
        # A file of somebody else may mean something else by it.
        with contextlib.suppress(KeyError, ValueError):
            meta[key] = json.loads(meta[key])
    return dict(state_dict=state, meta=meta)


def safetensors_bytes(
    state: Mapping[str, Tensor], meta: Mapping[str, Any]
) -> bytes:
    """What a file of weights holds; the same bytes for the same weights.

    Args:
        state: Dense tensors; none shares its memory with another.
        meta: Strings, and plain values of epoch, iter, seed and
            dataset_meta.
    """
    strings = {
        key: json.dumps(value) if key in _JSON else value
        for key, value in meta.items()
    }
    content = save(dict(state), metadata={'format': 'pt', **strings})
    # The library writes the metadata in random order.
    (size,) = struct.unpack('<Q', content[:8])
    header = json.loads(content[8 : 8 + size])
    header['__metadata__'] = dict(sorted(header['__metadata__'].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(',', ':'))
    padded = text.encode() + b' ' * (-len(text.encode()) % 8)
    return struct.pack('<Q', len(padded)) + padded + content[8 + size :]

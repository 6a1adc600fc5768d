"""Made-up weights of published models, from nothing but the names of keys.

Whoever has the rule and an oracle's few changes has the very weights that the
official code was run with; tests/data/published/README.md states the rule.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

DATA = Path(__file__).parent / 'data' / 'published'
_LINE = re.compile(r'(\S+) \(([\d, ]*)\) torch\.(\w+)')
_MEMORY = ('lut', 'cq', 'cqb')


def listed_weights(name: str, rows: int = 482) -> dict[str, Tensor]:
    """Random weights with the keys, shapes and dtypes of a list.

    Args:
        name: Of the list.
        rows: Of the lookup table.
    """
    generator = torch.Generator().manual_seed(0)
    state = {}
    text = (DATA / 'keys' / f'{name}.txt').read_text()
    for key, sides, dtype in _LINE.findall(text):
        shape = [int(side) for side in sides.split(',') if side.strip()]
        if key.endswith('.lut'):
            shape[0] = rows
        value = torch.rand(shape, generator=generator)
        state[key] = value.to(getattr(torch, dtype))
    return state


def read_oracle(name: str) -> dict[str, np.ndarray]:
    """The arrays of an oracle."""
    with np.load(DATA / f'{name}.npz') as file:
        return dict(file)


def published_weights(oracle: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """The state dict that an oracle's answers were made with."""
    meta = json.loads(str(oracle['meta']))
    state = {}
    for key, shape in meta['shapes'].items():
        value = oracle.get(f'change/set/{key}')
        if value is None:
            value = _value(meta['seed'], key, tuple(shape))
            value = value * oracle.get(
                f'change/mul/{key}', value.dtype.type(1)
            )
        exact = value.dtype.kind == 'i'
        state[key] = torch.from_numpy(
            np.array(value if exact else value.astype(np.float32))
        )
        if meta['method'] == 'oimnetpp' and key.endswith(('.lut', '.cq')):
            state[key] = state[key].half()
    for key, same in meta.get('alias', {}).items():
        state[key] = state[same]
    return state


def _value(seed: int, key: str, shape: tuple[int, ...]) -> np.ndarray:
    name = key.rpartition('.')[2]
    if name == 'num_batches_tracked':
        return np.ones(shape, np.int64)
    if name.endswith('_omega'):
        return _uniform(seed, key, shape, 0, 2)
    if name == 'layer_scale':
        return _uniform(seed, key, shape, 0.1, 0.3)
    if name == 'running_var':
        return _uniform(seed, key, shape, 0.6, 1.4)
    if name in _MEMORY:
        return _memory(seed, key, shape, -0.25 if name == 'cqb' else 0.25)
    if name in ('bias', 'running_mean'):
        return 0.1 * _normal(seed, key, shape)
    if len(shape) == 1:
        scale = _uniform(seed, key, shape, 0.8, 1.2)
        return scale / 2 if key.endswith('bn3.weight') else scale
    return _kernel(_normal(seed, key, shape))


def _draws(seed: int, key: str, shape: tuple[int, ...]) -> np.ndarray:
    digest = hashlib.sha256(f'{seed}:{key}'.encode()).digest()
    source = np.random.Philox(key=int.from_bytes(digest[:16], 'little'))
    return source.random_raw(int(np.prod(shape))).reshape(shape)


def _normal(seed: int, key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Sums of the four 16-bit parts of a draw, mean 0 and variance 1."""
    parts = _draws(seed, key, shape)[..., None].view('<u2')
    return (parts.sum(-1, dtype=np.float64) / 65535 - 2) * 3**0.5


def _uniform(
    seed: int, key: str, shape: tuple[int, ...], low: float, high: float
) -> np.ndarray:
    draws = (_draws(seed, key, shape) >> np.uint64(11)).astype(np.float64)
    return low + (high - low) * (draws / 2.0**53)


def _memory(
    seed: int, key: str, shape: tuple[int, ...], along: float
) -> np.ndarray:
    """Unit vectors that lean to one direction; background to the other."""
    direction = _normal(seed, 'memory direction', shape[1:])
    direction /= np.sqrt((direction * direction).sum())
    rows = _normal(seed, key, shape) / np.sqrt(shape[1]) + along * direction
    return rows / np.sqrt((rows * rows).sum(1, keepdims=True))


def _kernel(weight: np.ndarray) -> np.ndarray:
    """Smooth in space, of zero sum unless it reads pixels, of equal gain."""
    for axis in range(2, weight.ndim):
        for _ in range((weight.shape[axis] - 1) // 2):
            weight = _smooth(weight, axis)
    if weight.shape[1] > 3:
        weight -= weight.mean(tuple(range(1, weight.ndim)), keepdims=True)
    total = weight.reshape(*weight.shape[:2], -1).sum(2)
    gain = np.sqrt(2 / (total * total).sum(1))
    return weight * gain.reshape(-1, *[1] * (weight.ndim - 1))


def _smooth(weight: np.ndarray, axis: int) -> np.ndarray:
    """(1, 2, 1) / 4 along an axis, zeros outside."""
    padded = np.pad(
        weight, [(int(i == axis),) * 2 for i in range(weight.ndim)]
    )
    size = weight.shape[axis]
    left, centre, right = (
        np.take(padded, range(k, k + size), axis) for k in range(3)
    )
    return (left + 2 * centre + right) / 4

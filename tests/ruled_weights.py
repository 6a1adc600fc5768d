"""Weights that follow from their name and shape alone.

Someone else's code gets the same ones, without a file of them.
"""

import zlib

import numpy as np
import torch
from torch import Tensor


def rule_weight(key: str, shape: tuple[int, ...]) -> Tensor:
    """The weight of a name, in float32.

    Args:
        key: Its published name.
        shape: Its shape.

    Returns:
        Of order 1 over the root of the inputs; norms near 1, biases near 0;
        ``num_batches_tracked`` is 0.
    """
    name = key.rsplit('.', 1)[-1]
    if name == 'num_batches_tracked':
        return torch.zeros(shape, dtype=torch.long)
    draw = np.random.RandomState(zlib.crc32(key.encode()))
    value = draw.standard_normal(shape)
    if name == 'running_var' or (name == 'weight' and len(shape) == 1):
        value = 0.5 + abs(value) / 2
    elif len(shape) > 1:
        value = value * (2 / np.prod(shape[1:])) ** 0.5
    else:
        value = value / 10
    return torch.from_numpy(value.astype(np.float32))

"""Weights of PCNet's release that anybody can make again, by rule.

Of every tensor its key and shape are enough. From the first 16 bytes, little
endian, of the SHA-256 of ``SEED:KEY`` as key of numpy's Philox come standard
normal numbers n, float64 in C order; then, as float32:

=====================================  =====================================
convolution, linear layer: weight      gain / sqrt(fan in) times n less its
                                       mean over each output's inputs
the same: bias                         shift + n / 20
batch norm: weight, bias               1 + n / 10, n / 10
batch norm: running mean, variance     n / 10, exp(n / 5)
scale factors                          1 + n / 5
rows of the memory                     n / length of the row
=====================================  =====================================
"""

import re
from collections.abc import Mapping
from functools import cache
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

# By the first expression that is found in a key; else 1.
GAINS = {
    r'stem\.conv1': 0.04,
    r'downsample\.0': 1.0,
    r'body\..*\.conv3': 0.5,
    r'body\..*\.conv\d': 1.7,
    r'fpn_layer4': 3.0,
    r'fpn_layer|top_blocks': 1.6,
    r'offset_tower|offset_coord|(cls|bbox)_tower|bbox_pred': 1.5,
    r'cls_logits': 2.0,
    r'dfconv2d\.0\.0': 0.7,
    r'dfconv2d\.0\.1': 1.4,
    r'dfconv2d': 1.6,
}
_NORM = re.compile(r'(\.bn\d|downsample\.1|reid_bn(_side)?)\.')


def weights(
    seed: int, shapes: Mapping[str, tuple[int, ...]], cls_bias: float
) -> dict[str, Tensor]:
    """A state dict.

    Args:
        seed: Of the numbers.
        shapes: By keys of the official code; anchors are left out.
        cls_bias: Mean bias of the classification.
    """
    state = {
        key: _weight(seed, key, shape)
        for key, shape in shapes.items()
        if 'cell_anchors' not in key
    }
    bias = 'rpn.head.cls_logits.bias'
    noise = _normals(seed, bias, shapes[bias]) / 20
    state[bias] = torch.from_numpy((cls_bias + noise).astype(np.float32))
    return state


def _normals(seed: int, key: str, shape: tuple[int, ...]) -> np.ndarray:
    digest = sha256(f'{seed}:{key}'.encode()).digest()[:16]
    philox = np.random.Philox(key=int.from_bytes(digest, 'little'))
    return np.random.Generator(philox).standard_normal(shape)


# Models share most of them.
@cache
def _weight(seed: int, key: str, shape: tuple[int, ...]) -> Tensor:
    name = key.rpartition('.')[2]
    if name == 'num_batches_tracked':
        return torch.zeros(shape, dtype=torch.int64)
    n = _normals(seed, key, shape)
    if name == 'running_mean':
        n = n / 10
    elif name == 'running_var':
        n = np.exp(n / 5)
    elif _NORM.search(key):
        n = (name == 'weight') + n / 10
    elif name in ('lut', 'cq'):
        n = n / np.linalg.norm(n, axis=1, keepdims=True)
    elif name.startswith('scale'):
        n = 1 + n / 5
    elif name == 'bias':
        n = n / 20
    else:
        gain = next((g for x, g in GAINS.items() if re.search(x, key)), 1.0)
        inputs = tuple(range(1, n.ndim))
        n = n - n.mean(inputs, keepdims=True)
        n = gain * n / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(n.astype(np.float32))

"""Values that readers stumble over."""

import random
from typing import Any

import numpy as np

NAN, INF = float('nan'), float('inf')
INTEGERS = (
    0, 1, -1, -2, 2, 3, 7, 127, 128, 255, 256, 4096, 32767, 65535, 65536,
    2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1,
    -(2**31), -(2**63), -(2**63) - 1, 10**30, 10**400,
)  # fmt: skip
FLOATS = (
    0.5, -0.5, -0.0, 1.5, 1e-30, 1e-320, 1e9, 1e20, 1e38, 1e39, 1e200, 1e308,
    NAN, INF, -INF,
)  # fmt: skip
NAMES = (
    '', ' ', '.', '..', '/', '../../../etc/passwd', '/etc/passwd', 'a/b.jpg',
    'a\0b.jpg', '\u00fc.jpg', '\u202egpj.a', '\ud800.jpg', '\ufeffa.jpg',
    'x' * 5000, 'a\nb.jpg', 'a\tb.jpg', '%s%n', 'null', 'None', 'p', 'p1',
    'p' + '9' * 30, 'c9999999999999999999s1_000001_1.jpg', 'c\u00b2s1_1_1.jpg',
    'c\u0663s1_1_1.jpg', 'a_1_\u00b2_x.jpg', 'a_1_99999999999999999999_x.jpg',
)  # fmt: skip
WORDS = (
    *('0', '1', '-1', '-2', '00', '1.5', '1e400', 'nan', 'inf', '-inf'),
    *('1_0', '\u0663', '\u00b2', '0x10', '9' * 30, '9' * 5000, '1,5', '1e9'),
    *('2147483648', '9223372036854775808', '"', "'", '\\', '\0', '\x85'),
    *('\u2028', '\x0c', '\r', '\t', '\ufeff', '#', '[', '{'),
)


def odd_number(rng: random.Random) -> int | float:
    """A number that is seldom asked for."""
    return rng.choice(INTEGERS if rng.random() < 0.5 else FLOATS)


def odd_value(rng: random.Random) -> Any:
    """Anything that JSON can hold."""
    kind = rng.randrange(8)
    if kind < 3:
        return odd_number(rng)
    if kind == 3:
        return rng.choice(NAMES)
    if kind == 4:
        return rng.choice((None, True, False, '1', '1.5', 'nan'))
    if kind == 5:
        return [odd_number(rng) for _ in range(rng.choice((0, 1, 2, 4, 5)))]
    if kind == 6:
        return {rng.choice(('id', 'name', '')): odd_number(rng)}
    return nested(rng.choice((2, 50, 5000)))


def nested(depth: int) -> list:
    """Lists in lists."""
    value: list = []
    for _ in range(depth):
        value = [value]
    return value


def odd_array(rng: random.Random, like: np.ndarray) -> np.ndarray:
    """An array made of another one, of another kind, shape or content."""
    kind = rng.randrange(4)
    if kind == 0:
        return _other_values(rng, like)
    if kind == 1:
        return _other_shape(rng, like)
    if kind == 2:
        return _other_kind(rng, like)
    return np.array(rng.choice((NAN, 0, 1, -1, 'text', True, 1 + 2j)))


def _other_values(rng: random.Random, like: np.ndarray) -> np.ndarray:
    array = like.copy()
    if not array.size or array.dtype.kind not in 'fiu':
        return array
    for _ in range(rng.choice((1, 1, 2, array.size))):
        value = odd_number(rng)
        if array.dtype.kind in 'iu':
            info = np.iinfo(array.dtype)
            value = 0 if value != value else value
            value = int(max(min(value, info.max), info.min))
        elif isinstance(value, int) and abs(value) > 10**300:
            value = INF
        with np.errstate(over='ignore'):
            array.flat[rng.randrange(array.size)] = value
    return array


def _other_shape(rng: random.Random, like: np.ndarray) -> np.ndarray:
    change = rng.choice(
        (
            lambda a: a[None],
            lambda a: a[..., None],
            np.ravel,
            np.transpose,
            lambda a: a[:0],
            lambda a: a[:1],
            lambda a: a[1:],
            lambda a: a[:-1],
            lambda a: a[::-1],
            lambda a: np.repeat(a, 2, axis=0),
            lambda a: np.repeat(a, 2, axis=-1),
            lambda a: a[..., :-1],
            lambda a: np.asfortranarray(a),
            lambda a: a.reshape(-1)[:1].reshape(()),
        )
    )
    try:
        return np.array(change(like))
    except (ValueError, IndexError):
        return np.zeros((0, 3))


def _other_kind(rng: random.Random, like: np.ndarray) -> np.ndarray:
    kinds = 'f2 f4 f8 f16 i1 i2 i4 i8 u1 u4 u8 ? c8 S4 U4 >f4 >i8 M8[s] V3'
    dtype = rng.choice(kinds.split())
    with np.errstate(all='ignore'):
        try:
            return like.astype(dtype)
        except (ValueError, TypeError, OverflowError):
            return np.zeros(like.shape, dtype)

"""Unusual values, which readers may fail on."""

import struct
import warnings
from operator import itemgetter, methodcaller
from typing import Any

import numpy as np
from numpy.lib import format as npy
from scipy.sparse import csc_matrix

from .tape import Tape

INTEGERS = (
    *(0, 1, -1, -2, 2, 3, 7, 127, 128, 255, 256, 4096, 32767, 65535, 65536),
    *(2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1),
    *(-(2**31), -(2**63), -(2**63) - 1, 10**30, 10**400),
)
NUMBERS = (
    *(*INTEGERS, 0.5, -0.5, -0.0, 1.5, 1e-30, 1e-320, 1e9, 1e20, 1e38, 1e39),
    *(1e200, 1e308, *[float('nan'), float('inf'), float('-inf')] * 2),
)
WORDS = (
    *('0', '1', '-1', '-2', '00', '1.5', '1e400', 'nan', 'inf', '-inf'),
    *('1_0', '\u0663', '\u00b2', '0x10', '9' * 30, '9' * 5000, '1,5', '1e9'),
    *('2147483648', '9223372036854775808', '"', "'", '\\', '\0', '\x85'),
    *('\u2028', '\x0c', '\r', '\t', '\ufeff', '#', '[', '{', '\u00a0'),
)
NAMES = (
    '', ' ', '.', '..', '/', '../../../etc/passwd', '/etc/passwd', 'a/b.jpg',
    'a\0b.jpg', '\u00fc.jpg', '\u202egpj.a', '\ud800.jpg', '\ufeffa.jpg',
    'x' * 5000, 'a\nb.jpg', 'a\tb.jpg', '%s%n', 'null', 'None', 'p', 'p1',
    'p' + '9' * 30, 'c9999999999999999999s1_000001_1.jpg', 'c\u00b2s1_1_1.jpg',
    'c\u0663s1_1_1.jpg', 'a_1_\u00b2_x.jpg', 'a_1_99999999999999999999_x.jpg',
)  # fmt: skip
# Stands for more brackets in brackets than Python's own stack can hold.
DEEP = '[[...]]'
_CELLS = np.empty((1, 2), object)
_CELLS[0] = 'a', np.eye(2)
# What variables of MATLAB and members of .npz hold seldom.
_ARRAYS = (
    *(np.array(v) for v in (np.nan, 0, -1, 'text', True, 1 + 2j, ['ab', 'c'])),
    *(np.zeros((0, 0)), np.zeros((2, 2, 2)), _CELLS, csc_matrix(np.eye(3))),
    *(np.array([[1e300, -1e300, 2**63, 1, 5]]), np.array([[np.nan, np.inf]])),
    *(np.array([[2**64 - 1, 1, 2, 3, 4]], np.uint64), dict(a='a', b=1)),
)
_CHANGES = (
    *(itemgetter(i) for i in (None, slice(0), slice(1), slice(1, None), 0)),
    *(itemgetter((..., i)) for i in (None, slice(1), slice(-1), slice(1, 0))),
    *map(methodcaller, ('ravel', 'transpose')),
    itemgetter(slice(None, None, -1)),
    *(methodcaller('repeat', 2, axis) for axis in (0, -1)),
)
_TYPES = 'f2 f4 f8 i1 i2 i4 i8 u1 u4 u8 ? c8 S4 U4 >f4 >i8 M8[s] V3'
# What headers of .npy files claim; None is what is true.
_SHAPES = (
    *((), (0,), (-1,), (3,), (3, 4, 5), (2**40,), (2**62, 4), (1e3,), 'x'),
    *((10**12, 10**12), '(' * 500),
)
_KINDS = None, None, None, '|O', '<f4', '<i8', 'junk'


def odd(like: Any, tape: Tape) -> Any:
    """An unusual value in the place of another one.

    Args:
        like: The other one.
        tape: Chooses it.
    """
    if isinstance(like, np.ndarray):
        return _odd_array(like, tape)
    kind = tape.below(8)
    if kind < 4:
        number = not isinstance(like, str)
        word = tape.choice(NUMBERS if number else WORDS)
        return word if number or kind < 3 else like + word
    if kind < 6:
        return tape.choice((NUMBERS, WORDS, NAMES, NAMES)[tape.below(4)])
    if kind == 6:
        return tape.choice((None, True, False, [[[]]], DEEP))
    numbers = [tape.choice(NUMBERS) for _ in range(tape.below(6))]
    return tape.choice((numbers, numbers, dict(zip(('id', ''), numbers))))


def _odd_array(like: np.ndarray, tape: Tape) -> Any:
    kind = tape.below(10)
    if kind < 3 and like.dtype.kind == 'U':
        return tape.choice(NAMES)
    if kind < 3 and like.size and like.dtype.kind in 'fiu':
        array = like.copy()
        value = min(tape.choice(NUMBERS), 2**1000)
        with np.errstate(all='ignore'):
            value = np.array(value, float).astype(like.dtype)
        place = tape.below(like.size)
        array.flat[tape.choice((place, slice(place, None)))] = value
        return array
    if kind < 5:
        change = tape.choice(_CHANGES)
    elif kind == 5:
        change = methodcaller('astype', tape.choice(_TYPES.split()))
    elif kind < 8:
        return tape.choice(_ARRAYS)
    else:
        return _npy(like, tape.choice(_SHAPES), tape.choice(_KINDS))
    try:
        with np.errstate(all='ignore'), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            return np.array(change(like))
    except (IndexError, OverflowError, TypeError, ValueError):
        return np.zeros((0, 3))


def _npy(array: np.ndarray, shape: Any, kind: str | None) -> bytes:
    """A .npy file whose header says something else than its content."""
    said = dict(descr=kind or array.dtype.str, fortran_order=False)
    header = repr({**said, 'shape': shape}).ljust(117) + '\n'
    start = npy.magic(1, 0) + struct.pack('<H', len(header))
    # Of objects there are addresses, which are others every time.
    content = b'' if array.dtype.hasobject else array.tobytes()
    return start + header.encode() + content

"""Damage to bytes, whatever they mean."""

import random
import struct

from .odd import INTEGERS

_BYTES = (0, 1, 2, 7, 8, 9, 14, 15, 16, 32, 34, 45, 91, 123, 127, 128, 255)


def edit_bytes(data: bytes, rng: random.Random, other: bytes = b'') -> bytes:
    """Damage a file in one place.

    Args:
        data: Its content.
        rng: Chooses what is done.
        other: Content of another file, to be mixed in.
    """
    out = bytearray(data)
    kind = rng.randrange(11)
    start, end = _range(rng, len(out))
    if kind == 0:
        _flip(out, rng)
    elif kind == 1 and out:
        out[rng.randrange(len(out))] = rng.choice(_BYTES)
    elif kind == 2 and out:
        out[rng.randrange(len(out))] = rng.randrange(256)
    elif kind == 3:
        del out[start:end]
    elif kind == 4:
        out[start:start] = rng.randbytes(rng.choice((1, 2, 4, 8, 100)))
    elif kind == 5:
        out[start:start] = out[start:end]
    elif kind == 6:
        del out[start:]
    elif kind == 7:
        out[start:end] = bytes(end - start)
    elif kind == 8 and other:
        low, high = _range(rng, len(other))
        out[start:end] = other[low:high]
    elif kind == 9:
        size = end - start
        place = rng.randrange(len(out) + 1)
        out[place : place + size] = out[start:end]
    else:
        _write_integer(out, rng)
    return bytes(out)


def _flip(out: bytearray, rng: random.Random) -> None:
    if out:
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)


def _write_integer(out: bytearray, rng: random.Random) -> None:
    """Lengths and counts are 4 or 8 bytes, mostly at multiples of 4."""
    size = rng.choice((2, 4, 4, 4, 8))
    value = rng.choice(INTEGERS) % 2 ** (8 * size)
    coded = struct.pack('<Q', value)[:size]
    if rng.random() < 0.2:
        coded = coded[::-1]
    place = rng.randrange(max(1, len(out) - size + 1))
    if rng.random() < 0.8:
        place -= place % 4
    out[place : place + size] = coded


def _range(rng: random.Random, size: int) -> tuple[int, int]:
    """A short piece, or any."""
    start = rng.randrange(size + 1)
    longest = rng.choice((1, 4, 8, 64, size))
    return start, min(size, start + rng.randint(0, longest))

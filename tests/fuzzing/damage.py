"""Damage to files: which file, which place, and the replacement."""

import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from .formats import FORMATS, VARIANTS
from .odd import INTEGERS, odd
from .tape import Tape

# Name to content.
Files = dict[str, bytes]
# Of damaged ones: other content, or what is in the place of the file.
MISSING, FOLDER = 'missing', 'folder'
Changes = dict[str, bytes | str]

_MAX_EDITS = 3
_EDIT_BYTES = 32
# What :func:`damaged` makes changes of.
CASES = st.binary(
    min_size=_MAX_EDITS * _EDIT_BYTES, max_size=_MAX_EDITS * _EDIT_BYTES
)


def damaged(files: Files, case: bytes) -> Changes:
    """Edit files in one place or in some.

    Args:
        files: The valid ones; not changed.
        case: Of :data:`CASES`; zeros are no edit.

    Returns:
        The files that differ.
    """
    out: Changes = dict(files)
    raw: set[str] = set()
    for start in range(0, len(case), _EDIT_BYTES):
        # Each edit has its own bytes, so that any of them can be left out.
        tape = Tape(case[start : start + _EDIT_BYTES])
        if tape.below(3):
            name = tape.choice(sorted(files))
            if name in raw or not _edit_values(out, name, tape):
                raw.add(name)
                other = files[tape.choice(sorted(files))]
                out[name] = _edited(out[name], other, tape)
    return {k: v for k, v in out.items() if v != files[k]}


def _edit_values(out: Changes, name: str, tape: Tape) -> bool:
    """Change values of a file in the form that it has."""
    suffix = Path(name).suffix
    if suffix not in FORMATS or tape.below(5) > 2:
        return False
    load, dump = FORMATS[suffix]
    # What an edit makes cannot always be stored, or read for another edit.
    with warnings.catch_warnings(), suppress(Exception):
        warnings.simplefilter('ignore')
        tree = [load(out[name])]
        _edit_tree(tree, tape)
        out[name] = dump(tree[0], tape.below(VARIANTS))
        return True
    return False


class _Twin(str):
    """A key that a dict, and so a file, holds beside an equal one."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__


def _edit_tree(tree: list, tape: Tape) -> None:
    """Change one value, or the list or dict that holds it."""
    places = list(_places(tree[0])) or [(tree, 0)]
    # The first ones have most below them.
    near = places[: tape.choice((None, None, None, 3))]
    node, key = tape.choice(near)
    kind = tape.below(10)
    # Copies, for a value may get into itself, and others are shared.
    old = deepcopy(node[key])
    if kind < 6:
        node[key] = deepcopy(odd(old, tape))
    elif kind < 8 or isinstance(node, np.ndarray):
        other, second = tape.choice(places)
        node[key] = deepcopy(other[second])
        if kind == 6:
            other[second] = old
    elif kind == 8:
        del node[key]
    elif isinstance(node, list):
        node.insert(key, tape.choice((old, deepcopy(odd(old, tape)))))
    else:
        names = _Twin(key), _Twin(key), key.upper(), f' {key}', '', '../x'
        node[tape.choice(names)] = deepcopy(odd(old, tape))
        if tape.below(2):
            del node[key]


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Container and key of every value."""
    if isinstance(node, dict):
        keys = list(node)
    elif isinstance(node, list):
        keys = range(len(node))
    elif isinstance(node, np.ndarray) and node.dtype == object:
        keys = np.ndindex(node.shape)
    else:
        fields = getattr(getattr(node, 'dtype', None), 'names', None) or ()
        for name in fields:
            yield from _places(node[name])
        return
    for key in keys:
        yield node, key
        yield from _places(node[key])


def _edited(content: bytes | str, other: bytes, tape: Tape) -> bytes | str:
    """Put other bytes in the place of some, or of all."""
    if isinstance(content, str) or not content or not tape.below(10):
        return tape.choice((MISSING, FOLDER, b'', b'null', other))
    start = tape.below(len(content))
    records = [m.end() for m in re.finditer(b'PK[\1\3\5][\2\4\6]', content)]
    if records and tape.below(4) == 3:
        start = tape.choice(records) + tape.below(18)
    if tape.below(2):
        start -= start % 4  # where most numbers are
    old = _piece(content[start:], tape)
    new = tape.choice(
        (
            lambda: bytes([old[0] ^ 1 << tape.below(8)] if old else b''),
            lambda: bytes([tape.below(256)]),
            lambda: tape.read(tape.below(9)),
            lambda: b'',
            lambda: bytes(len(old)),
            lambda: old + old,
            lambda: _piece(other[tape.below(len(other) + 1) :], tape),
            lambda: _coded(tape),
            lambda: _coded(tape),
        )
    )()
    # Overwritten, replaced, inserted; or the rest is lost.
    sizes = (len(new), len(new), len(old), 0) if new else (len(old), 2**30)
    return content[:start] + new + content[start + tape.choice(sizes) :]


def _coded(tape: Tape) -> bytes:
    """A number as binary files hold them."""
    size, number = tape.choice((4, 4, 8, 2)), tape.choice(INTEGERS)
    order = tape.choice(('little', 'little', 'little', 'big'))
    return (number % 256**size).to_bytes(size, order)


def _piece(content: bytes, tape: Tape) -> bytes:
    """The start, mostly a short one."""
    longest = tape.choice((1, 4, 8, 64, len(content)))
    return content[: 1 + tape.below(max(longest, 1))]

"""Rows of a large MATLAB struct array, one after another.

TestG4000.mat of CUHK-SYSU holds 11.6 million gallery entries in 1 GB of
MATLAB data; a Python object for each of their fields takes over a minute and
gigabytes. Here a row is decompressed at a time, and numpy finds the texts
of the usual form and the boxes that are empty.
"""

import math
import os
from collections.abc import Iterator, Sequence

import numpy as np

from .elements import CHAR, MATRIX, STRUCT, Elements, MatError
from .mat_files import one_box, one_string
from .variables import Variables

_UTF8 = 16
_TEXT_BYTES = 16
# Words behind a tag that are looked at, even where a short element ends the
# array.
_ROOM = 20


class StructRow:
    """One struct array inside another: its fields' bytes and offsets.

    Args:
        body: The array, without its tag.
        order: '<' or '>', the order of bytes.

    Attributes:
        fields: Names of the fields.
        num: Number of elements.

    Raises:
        MatError: It is damaged.
        TypeError: It is no struct array.
    """

    def __init__(self, body: bytes, order: str) -> None:
        self.elements = Elements(body, order)
        self.num, self.fields, at = _struct_head(self.elements)
        body += bytes(-len(body) % 8 + 4 * _ROOM)
        self.words = np.frombuffer(body, f'{order}u4').astype(np.uint32)
        self.bytes = np.frombuffer(body, np.uint8).reshape(-1, 4)
        self._offsets = self._walk(at // 4)

    def _walk(self, at: int) -> np.ndarray:
        """(num, fields) word offsets of the elements, one after another."""
        words, end = memoryview(self.words), len(self.words) - _ROOM
        places = []
        try:
            for _ in range(self.num * len(self.fields)):
                places.append(at)
                at += (words[at + 1] + 15 >> 3) * 2  # tag, filled-up data
        except IndexError:
            raise MatError('cut short') from None
        offsets = np.array(places, int).reshape(self.num, len(self.fields))
        if places and (at != end or (self.words[offsets] != MATRIX).any()):
            raise MatError('a struct of another length')
        return offsets

    def value(self, field: str, index: int = 0) -> np.ndarray:
        """A field's value in one element."""
        at = int(self._offsets[index, self.fields.index(field)])
        place = 4 * at + 8
        return self.elements.value(place, place + int(self.words[at + 1]))

    def strings(self, field: str) -> np.ndarray:
        """(num,) texts of a field, as bytes in UTF-8."""
        at, head = self._heads(field)
        tag = head[:, 12]
        small = tag >> 16 > 0  # up to 4 bytes, size and type in one word
        sizes = np.where(small, tag >> 16, head[:, 13])
        usual = (
            _is_plain(head)
            & (head[:, 1] == np.where(small, 48, 48 + (sizes + 7) // 8 * 8))
            & (head[:, 4] & 255 == CHAR)
            & (head[:, 8] == 1)
            & (head[:, 9] == sizes)
            & (tag & 0xFFFF == _UTF8)
            & (sizes <= _TEXT_BYTES)
        )
        first = at + np.where(small, 13, 14)
        data = self.bytes[first[:, None] + np.arange(_TEXT_BYTES // 4)]
        data = data.reshape(-1, _TEXT_BYTES)
        data[np.arange(_TEXT_BYTES) >= sizes[:, None]] = 0
        texts = data.view(f'S{_TEXT_BYTES}').ravel()
        if usual.all():
            return texts
        found = texts.tolist()
        for i in np.flatnonzero(~usual):
            found[i] = one_string(self.value(field, i)).encode()
        return np.array(found)

    def boxes(self, field: str) -> np.ndarray:
        """(num, 4) float64 boxes of a field, NaN where it is empty."""
        _, head = self._heads(field)
        boxes = np.full((self.num, 4), np.nan)
        empty = _is_plain(head) & (head[:, 8:10] == 0).any(1)
        for i in np.flatnonzero(~empty & (head[:, 1] > 0)):
            value = self.value(field, i)
            if value.size:
                boxes[i] = one_box(value)
        return boxes

    def _heads(self, field: str) -> tuple[np.ndarray, np.ndarray]:
        """(num,) offsets of a field's elements, and (num, 14) words there."""
        at = self._offsets[:, self.fields.index(field)]
        return at, self.words[at[:, None] + np.arange(14)]


def _is_plain(head: np.ndarray) -> np.ndarray:
    """(n,) bool, whether a head is the usual one: 2 dimensions, no name."""
    return (head[:, [2, 3, 6, 7, 10, 11]] == (6, 8, 5, 8, 1, 0)).all(1)


def stream_struct(
    path: str | os.PathLike, key: str, fields: Sequence[str]
) -> Iterator[list[StructRow]]:
    """Yield the rows of a struct array whose fields are struct arrays.

    Args:
        path: The file.
        key: Name of the variable.
        fields: Names of the fields that are wanted.

    Yields:
        The fields' struct arrays, row by row.

    Raises:
        MatError: The file is damaged, or has no such variable.
        KeyError: It has no such field.
        TypeError: It, or one of the fields, is no struct array.
        OSError: It cannot be read.
    """
    with open(path, 'rb') as file:
        variables = Variables(file)
        num, names, start = _struct_head(variables.head(key))
        stream, _ = variables.open(key)
        variables.read(stream, start)
        for _ in range(num):
            row = {}
            for name in names:
                kind, size = variables.tag(stream)
                if kind != MATRIX:
                    raise MatError('no array in a field')
                row[name] = variables.read(stream, size)
            yield [StructRow(row[name], variables.order) for name in fields]
        variables.check_end(stream)


def _struct_head(elements: Elements) -> tuple[int, list[str], int]:
    """Number of elements, fields, and place of the first element."""
    end = len(elements.data)
    kind, _, dims, _, at = elements.head(0, end)
    if kind != STRUCT:
        raise TypeError('no struct array')
    fields, after = elements.fields(at, end)
    return math.prod(dims), fields, after

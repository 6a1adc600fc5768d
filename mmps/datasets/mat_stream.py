"""Reading a large MATLAB struct array row by row, without scipy's objects.

TestG4000.mat of CUHK-SYSU holds 11.6 million gallery entries in 1 GB of
MATLAB data. scipy builds a Python object for each of their fields, which
takes over a minute and gigabytes. Here a row is decompressed at a time and
its fields are found by numpy. Only what such files contain is understood
(version 5, little endian); for all else :class:`UnusualMatError` asks the
caller to use scipy.
"""

import os
import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

_MATRIX, _COMPRESSED, _UTF8 = 14, 15, 16
_STRUCT, _CHAR = 2, 4
_NUMBERS = {
    1: np.int8,
    2: np.uint8,
    3: np.int16,
    4: np.uint16,
    5: np.int32,
    6: np.uint32,
    7: np.float32,
    9: np.float64,
}
_MAX_NAMES = 4096  # bytes; a damaged file may claim billions
_NO_NAME = (1, 0)  # tag of an empty matrix name, as in every struct field


class UnusualMatError(Exception):
    """The file has a form that this reader leaves to scipy."""


class StructRow:
    """One struct array inside another: its fields' bytes and offsets.

    Args:
        body: The matrix, without its tag.

    Attributes:
        fields: Names of the fields.
        num: Number of elements.
    """

    def __init__(self, body: bytes) -> None:
        if len(body) % 8 or len(body) < 56:
            raise UnusualMatError('a struct of odd length')
        # Room to look at the words of a field that is shorter at the end.
        self.words = np.frombuffer(body + bytes(80), '<u4')
        kind, self.num, start = _header(self.words)
        # Length of a field name, then all names in one element.
        if kind != _STRUCT or self.words[start] != 4 << 16 | 5:
            raise UnusualMatError('no struct')
        length, size = int(self.words[start + 1]), int(self.words[start + 3])
        if self.words[start + 2] != 1 or not 0 < size <= _MAX_NAMES:
            raise UnusualMatError('no field names')
        at = 4 * (start + 4)
        self.fields = _field_names(body[at : at + size], length)
        self.body = body
        self.offsets = self._walk((at + size + 7) // 8 * 2, len(body) // 4)

    def _walk(self, start: int, end: int) -> np.ndarray:
        """(num, fields) word offsets of the elements, one after another."""
        total = self.num * len(self.fields)
        if total == 0:
            return np.zeros((self.num, len(self.fields)), np.int64)
        # Every place that could be the tag of a matrix, and the place after
        # that matrix. Some only look like one; no other matrix leads there.
        tags = np.flatnonzero(self.words[start:end:2] == _MATRIX)
        if total > len(tags):
            raise UnusualMatError('a struct of another length')
        sizes = self.words[start + 1 : end : 2][tags].astype(np.int64)
        after = tags + 1 + (sizes + 7) // 8
        tags = np.append(tags, (end - start) // 2)
        jump = np.searchsorted(tags, after)
        jump[tags[np.minimum(jump, len(jump))] != after] = len(jump)
        jump = np.append(jump, len(jump))
        # Follow the chain from the first one in steps that double.
        chain = np.zeros(1, np.int64)
        while len(chain) <= total:
            chain = np.concatenate([chain, jump[chain]])
            jump = jump[jump]
        last = len(jump) - 1
        if tags[0] or chain[total - 1] == last or chain[total] != last:
            raise UnusualMatError('a struct of another length')
        places = start + 2 * tags[chain[:total]]
        final = places[-1] + 2 + (int(self.words[places[-1] + 1]) + 7) // 8 * 2
        if final != end:
            raise UnusualMatError('a struct of another length')
        return places.reshape(self.num, len(self.fields))

    def column(self, field: str) -> np.ndarray:
        """(num,) word offsets of a field's elements."""
        if field not in self.fields:
            raise UnusualMatError(f'no field {field}')
        return self.offsets[:, self.fields.index(field)]

    def strings(self, field: str) -> np.ndarray:
        """(num,) S16 texts of a field."""
        at = self.column(field)
        if not len(at):
            return np.zeros(0, 'S16')
        tag = self.words[at + 12]
        small = tag >> 16 > 0  # up to 4 bytes, size and type in one word
        sizes = np.where(small, tag >> 16, self.words[at + 13])
        usual = (
            (self.words[at + 2] == 6)
            & (self.words[at + 4] & 255 == _CHAR)
            & (self.words[at + 8] == 1)
            & (self.words[at + 10] == _NO_NAME[0])
            & (self.words[at + 11] == _NO_NAME[1])
            & (tag & 0xFFFF == _UTF8)
            & (sizes <= 16)
        )
        if not usual.all():
            raise UnusualMatError('a text of another form')
        first = at + np.where(small, 13, 14)
        data = self.words[first[:, None] + np.arange(4)]
        data = np.ascontiguousarray(data).view(np.uint8)
        data[np.arange(16) >= sizes[:, None]] = 0
        return data.reshape(-1, 16).view('S16').ravel()

    def rows(self, field: str, width: int) -> np.ndarray:
        """(num, width) float64 numbers of a field, NaN where it is empty."""
        at = self.column(field)
        values = np.full((self.num, width), np.nan)
        sizes = self.words[at + 8] * self.words[at + 9]  # rows x columns
        for i in np.flatnonzero((self.words[at + 1] > 0) & (sizes > 0)):
            _, num, start = _header(self.words[at[i] + 2 :])
            tag = int(at[i]) + 2 + start
            kind, size = (int(v) for v in self.words[tag : tag + 2])
            place = 4 * (tag + 2)
            if kind >> 16:  # small element: size and type in one word
                kind, size, place = kind & 0xFFFF, kind >> 16, place - 4
            if num != width or kind not in _NUMBERS:
                raise UnusualMatError('numbers of another form')
            dtype = np.dtype(_NUMBERS[kind])
            if size != width * dtype.itemsize:
                raise UnusualMatError('numbers of another length')
            values[i] = np.frombuffer(self.body, dtype, width, place)
        return values


def stream_struct(
    path: str | os.PathLike, key: str
) -> Iterator[dict[str, StructRow]]:
    """Yield the rows of a struct array whose fields are struct arrays.

    Args:
        path: The file.
        key: Name of its first variable.

    Yields:
        Field name to the field's struct array, row by row.

    Raises:
        UnusualMatError: Leave the file to scipy.
        OSError: It cannot be read.
    """
    with open(path, 'rb') as file:
        if file.read(128)[124:] != b'\x00\x01IM':
            raise UnusualMatError('no little endian file of version 5')
        stream = _Stream(file)
        kind, size = stream.words(2)
        if kind == _COMPRESSED:
            stream = _Stream(file, zlib.decompressobj())
            kind, size = stream.words(2)
        if kind != _MATRIX:
            raise UnusualMatError('no matrix')
        num, fields = _struct_head(stream, key)
        for _ in range(num):
            row = {}
            for field in fields:
                kind, size = stream.words(2)
                if kind != _MATRIX:
                    raise UnusualMatError('no matrix in a field')
                row[field] = StructRow(stream.read(size))
            yield row


def _struct_head(stream: '_Stream', key: str) -> tuple[int, list[str]]:
    """Number of elements and names of the fields of a named struct."""
    head = np.array(stream.words(10), dtype=np.uint32)
    kind, num, _ = _header(head, named=True)
    size = int(head[9])
    # A name of up to 4 bytes would share its tag's word.
    if kind != _STRUCT or head[8] != 1 or size > _MAX_NAMES:
        raise UnusualMatError('no struct')
    name = stream.read((size + 7) // 8 * 8)[:size]
    tag, length, one, size = stream.words(4)
    if name != key.encode() or tag != 4 << 16 | 5:
        raise UnusualMatError('another variable')
    if one != 1 or not 0 < size <= _MAX_NAMES:
        raise UnusualMatError('no field names')
    text = stream.read((size + 7) // 8 * 8)[:size]
    return num, _field_names(text, length)


def _field_names(text: bytes, length: int) -> list[str]:
    """Split the fixed-length, zero-padded names of a struct's fields."""
    if length <= 0 or len(text) % length:
        raise UnusualMatError('no field names')
    return [
        text[i : i + length].partition(b'\0')[0].decode('ascii', 'replace')
        for i in range(0, len(text), length)
    ]


def _header(words: np.ndarray, named: bool = False) -> tuple[int, int, int]:
    """Class, number of elements and data place of a two-dimensional matrix."""
    if len(words) < 10 or tuple(words[[0, 1, 4, 5]]) != (6, 8, 5, 8):
        raise UnusualMatError('a matrix of another form')
    if not named and tuple(words[8:10]) != _NO_NAME:
        raise UnusualMatError('a named matrix')
    return int(words[2]) & 255, int(words[6]) * int(words[7]), 10


class TextIndex:
    """Places of texts in a list, for many texts at once.

    Args:
        texts: Unique texts of at most 16 bytes.

    Raises:
        UnusualMatError: One is longer, or two share a hash.
    """

    def __init__(self, texts: list[str]) -> None:
        coded = [text.encode() for text in texts]
        if max(map(len, coded), default=0) > 16:
            raise UnusualMatError('long texts')
        texts = np.array(coded, dtype='S16')
        hashes = self._hash(texts)
        self.order = np.argsort(hashes)
        self.hashes = hashes[self.order]
        self.texts = texts[self.order]
        if (self.hashes[1:] == self.hashes[:-1]).any():
            raise UnusualMatError('texts with equal hashes')

    def find(self, texts: np.ndarray) -> np.ndarray:
        """(n,) places of (n,) S16 texts, -1 where there is none."""
        if not len(self.order):
            return np.full(len(texts), -1)
        found = np.searchsorted(self.hashes, self._hash(texts))
        found = np.minimum(found, len(self.order) - 1)
        known = self.texts[found] == texts
        return np.where(known, self.order[found], -1)

    @staticmethod
    def _hash(texts: np.ndarray) -> np.ndarray:
        halves = texts.view('<u8').reshape(-1, 2)
        return halves[:, 0] ^ halves[:, 1] * np.uint64(0x9E3779B97F4A7C15)


class _Stream:
    """A file, or the decompressed content of the rest of it."""

    def __init__(self, file: BinaryIO, inflate: object = None) -> None:
        self.file = file
        self.inflate = inflate
        self.pending = b''

    def read(self, size: int) -> bytes:
        if self.inflate is None:
            data = self.file.read(size)
        else:
            parts, missing = [], size
            while missing > 0:
                raw = self.pending or self.file.read(1 << 20)
                try:
                    part = self.inflate.decompress(raw, missing)
                except zlib.error as error:
                    raise UnusualMatError(str(error)) from error
                self.pending = self.inflate.unconsumed_tail
                if not part and not raw:
                    break
                parts.append(part)
                missing -= len(part)
            data = b''.join(parts)
        if len(data) != size:
            raise UnusualMatError('the file is cut short')
        return data

    def words(self, num: int) -> list[int]:
        return np.frombuffer(self.read(4 * num), '<u4').tolist()

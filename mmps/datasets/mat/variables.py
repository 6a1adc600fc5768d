"""Variables of a MATLAB file of version 5."""

import io
import os
import zlib
from typing import BinaryIO

import numpy as np

from mmps.utils.files import most_bytes

from .elements import MATRIX, Elements, MatError

_HEADER = 128
_ORDERS = {b'\x00\x01IM': '<', b'\x01\x00MI': '>'}
_VERSION_7_3 = b'\x00\x02IM', b'\x02\x00MI'
_COMPRESSED = 15
_BUFFER = 2**18
# Room for the names of an array and of its fields.
_HEAD = 2**16


class Variables:
    """The variables of an open file, found by their names.

    Args:
        file: Open for reading.

    Attributes:
        order: '<' or '>', the order of bytes.

    Raises:
        MatError: Of all methods: the file is damaged, or no such file.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = file.seek(0, os.SEEK_END)
        self._limit = most_bytes(size)
        file.seek(0)
        self.order = _byte_order(file.read(_HEADER))
        self._places: list[tuple[str | None, int]] = []
        at = _HEADER
        while at < size:
            file.seek(at)
            end = at + 8 + self.tag(file)[1]
            if end > size:
                raise MatError('cut short')
            self._places.append((self._name(at), at))
            at = end

    def __contains__(self, name: str) -> bool:
        return name in dict(self._places)

    def value(self, name: str) -> np.ndarray:
        """A variable as scipy gives it."""
        stream, size = self.open(name)
        data = self.read(stream, size)
        self.check_end(stream)
        return Elements(data, self.order).value(0, size)

    def open(self, name: str) -> tuple[BinaryIO, int]:
        """A variable's array, without its tag, and its size."""
        places = [at for known, at in self._places if known == name]
        if not places:
            raise MatError(f'has no variable {name}')
        if len(places) > 1:
            raise MatError(f'{name} occurs twice')
        return self._open(places[0])

    def head(self, name: str) -> Elements:
        """The beginning of a variable's array."""
        stream, size = self.open(name)
        return Elements(stream.read(min(size, _HEAD)), self.order)

    def tag(self, stream: BinaryIO) -> tuple[int, int]:
        """Type and size of the element that begins here."""
        return Elements(self.read(stream, 8), self.order).words(0, 8)

    def read(self, stream: BinaryIO, size: int) -> bytes:
        """Read ``size`` bytes, unless no file of this size can hold them."""
        if size > self._limit:
            raise MatError('cut short, or far too large when decompressed')
        data = stream.read(size)
        if len(data) < size:
            raise MatError('cut short')
        return data

    def check_end(self, stream: BinaryIO) -> None:
        """Compare what was decompressed with its checksum."""
        if stream is not self._file and stream.read(1):
            raise MatError('bytes that belong to nothing')

    def _open(self, at: int) -> tuple[BinaryIO, int]:
        stream = self._file
        stream.seek(at)
        kind, size = self.tag(stream)
        if kind == _COMPRESSED:
            stream = io.BufferedReader(_Inflated(stream, size), _BUFFER)
            kind, size = self.tag(stream)
        if kind != MATRIX:
            raise MatError('no variable')
        return stream, size

    def _name(self, at: int) -> str | None:
        """None where a variable has none, or an unusual form."""
        stream, size = self._open(at)
        start = self.read(stream, min(size, _HEAD))
        try:
            return Elements(start, self.order).head(0, len(start))[3]
        except MatError:
            return None


def _byte_order(header: bytes) -> str:
    mark = header[124:]
    if mark in _VERSION_7_3:
        raise MatError('in the HDF5 form of MATLAB 7.3; save it with -v7')
    # A zero at the start means version 4, which has no mark of its own: any
    # file might be read as one.
    if mark not in _ORDERS or 0 in header[:4]:
        raise MatError('no MATLAB file of version 5')
    return _ORDERS[mark]


class _Inflated(io.RawIOBase):
    """The decompressed content of the next ``size`` bytes of a file."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size
        self._inflater = zlib.decompressobj()

    def readable(self) -> bool:
        return True

    def readinto(self, target: memoryview) -> int:
        data = b''
        while not data and not self._inflater.eof:
            packed = self._inflater.unconsumed_tail
            if not packed:
                packed = self._file.read(min(self._left, _BUFFER))
                self._left -= len(packed)
            if not packed:
                raise MatError('cut short')
            try:
                data = self._inflater.decompress(packed, len(target))
            except zlib.error as err:
                raise MatError(str(err)) from err
        target[: len(data)] = data
        return len(data)

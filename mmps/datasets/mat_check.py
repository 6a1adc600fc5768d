"""Making sure that a MATLAB file is what it says, before scipy reads it.

``scipy.io.loadmat`` believes the types, lengths and counts that a file of
version 5 states; one wrong byte can end the process. Here a variable is
walked through first: each element lies within the one around it, and has a
known type and the length that its dimensions ask for.
"""

import math
import struct
import zlib
from collections.abc import Sequence

from mmps.utils.files import most_bytes

_MATRIX, _COMPRESSED = 14, 15
_INT8, _INT32, _UINT32, _UTF8 = 1, 5, 6, 16
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}
_TEXTS = (1, 2, 4, 16, 17, 18)
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC = range(6, 16)
_COMPLEX = 0x800
_USUAL_TAGS = (_UINT32, 8, _INT32, 8, _INT8, 0)
_HEADER = 128
_MAX_DIMS = 32
_MAX_DEPTH = 16
_ORDERS = {b'\x00\x01IM': '<', b'\x01\x00MI': '>'}
_VERSION_7_3 = b'\x00\x02IM', b'\x02\x00MI'


def is_version_7_3(data: bytes) -> bool:
    """Whether it is an HDF5 file of MATLAB."""
    return data[124:128] in _VERSION_7_3


def whole_variable(data: bytes, names: Sequence[str]) -> bytes | None:
    """Find a variable in a file of version 5, and check all of it.

    Args:
        data: The file.
        names: Names of the variable, in order of preference.

    Returns:
        A file with this variable alone, not compressed; None if there is
        none.

    Raises:
        ValueError: The file is damaged or of another version, or the
            variable is neither numbers nor text nor a cell or struct array
            of these.
    """
    # With a zero at the start scipy would take it for version 4, which has
    # no mark of its own: anything might be read from it.
    if data[124:128] not in _ORDERS or 0 in data[:4]:
        raise ValueError('no MATLAB file of version 5')
    order = _ORDERS[data[124:128]]
    found: dict[str, bytes] = {}
    at = _HEADER
    while at < len(data):
        kind, size = _Walker(data, order).words(at, len(data))
        end = at + 8 + size
        if end > len(data):
            raise ValueError('cut short')
        element = data[at:end]
        if kind == _COMPRESSED:
            element = _inflate(element[8:])
        name = _Walker(element, order).name()
        if name in found:
            raise ValueError(f'{name} occurs twice')
        if name in names:
            found[name] = element
        at = end
    for name in names:
        if name in found:
            element = found[name]
            _Walker(element, order).check()
            return data[:_HEADER] + element
    return None


def _inflate(packed: bytes) -> bytes:
    limit = most_bytes(len(packed))
    try:
        inflater = zlib.decompressobj()
        element = inflater.decompress(packed, limit)
    except zlib.error as err:
        raise ValueError(str(err)) from err
    if not inflater.eof:
        raise ValueError('cut short, or far too large when decompressed')
    return element


class _Walker:
    """Goes through the elements of one variable.

    Args:
        data: The variable, its tag first.
        order: '<' or '>', the order of bytes.
    """

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self._pair = struct.Struct(f'{order}II').unpack_from
        self._usual = struct.Struct(f'{order}6I2i2I').unpack_from
        self._order = order

    def words(self, at: int, end: int) -> tuple[int, int]:
        """Two words, such as a tag's."""
        if at + 8 > end:
            raise ValueError('cut short')
        return self._pair(self.data, at)

    def tag(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type, size and place of an element's data, and what follows."""
        kind, size = self.words(at, end)
        if kind >> 16:  # small: size and type in one word
            kind, size = kind & 0xFFFF, kind >> 16
            place, after = at + 4, at + 8
            if size > 4:
                raise ValueError('a small element of more than four bytes')
        else:
            place = at + 8
            # What fills up eight bytes may be missing at the very end.
            after = min(place + (size + 7) // 8 * 8, end)
        if place + size > end:
            raise ValueError('an element is longer than what holds it')
        return kind, size, place, after

    def name(self) -> str | None:
        """Of the variable; None where it has none or an unusual form."""
        try:
            end = self._whole()
            return self._head(8, end)[3]
        except ValueError:
            return None

    def check(self) -> None:
        """Raise ValueError unless the variable is whole."""
        self._matrix(8, self._whole(), 0)

    def _whole(self) -> int:
        kind, size = self.words(0, len(self.data))
        if kind != _MATRIX or 8 + size != len(self.data):
            raise ValueError('no variable, or one of another length')
        return len(self.data)

    def _head(self, at: int, end: int) -> tuple[int, int, int, str, int]:
        """Class, flags, number of values, name, and what follows."""
        if at + 40 <= end:
            # As nearly all begin: two dimensions, no name.
            head = self._usual(self.data, at)
            tags = head[:2] + head[4:6] + head[8:]
            if tags == _USUAL_TAGS and min(head[6:8]) >= 0:
                return head[2] & 255, head[2], head[6] * head[7], '', at + 40
        kind, size, place, at = self.tag(at, end)
        if kind != _UINT32 or size != 8:
            raise ValueError('flags of another form')
        flags = self.words(place, end)[0]
        kind, size, place, at = self.tag(at, end)
        if kind != _INT32 or size % 4 or not 8 <= size <= 4 * _MAX_DIMS:
            raise ValueError('dimensions of another form')
        form = f'{self._order}{size // 4}i'
        dims = struct.unpack_from(form, self.data, place)
        if min(dims) < 0:
            raise ValueError(f'dimensions {dims}')
        kind, size, place, at = self.tag(at, end)
        if kind not in (_INT8, _UTF8):
            raise ValueError('a name of another form')
        name = self.data[place : place + size].decode('latin1')
        return flags & 255, flags, math.prod(dims), name, at

    def _matrix(self, at: int, end: int, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError('cells within cells within cells')
        kind, flags, num, _, at = self._head(at, end)
        if kind in _NUMERIC:
            for _ in range(2 if flags & _COMPLEX else 1):
                at = self._numbers(at, end, num)
        elif kind == _CHAR:
            at = self._text(at, end, num)
        elif kind == _CELL:
            at = self._children(at, end, num, depth)
        elif kind == _STRUCT:
            at, fields = self._fields(at, end)
            at = self._children(at, end, num * fields, depth)
        else:
            raise ValueError('a sparse array, function or object')
        if at != end:
            raise ValueError('bytes that belong to nothing')

    def _numbers(self, at: int, end: int, num: int) -> int:
        kind, size, _, after = self.tag(at, end)
        if kind not in _NUMBERS or size != num * _NUMBERS[kind]:
            raise ValueError('numbers of another length than they should be')
        return after

    def _text(self, at: int, end: int, num: int) -> int:
        kind, size, _, after = self.tag(at, end)
        if kind not in _TEXTS or size < num:
            raise ValueError('a text of another form or length')
        return after

    def _fields(self, at: int, end: int) -> tuple[int, int]:
        """What follows the names of a struct's fields, and their number."""
        kind, size, place, at = self.tag(at, end)
        if kind != _INT32 or size != 4:
            raise ValueError('fields of another form')
        form = f'{self._order}i'
        (length,) = struct.unpack_from(form, self.data, place)
        kind, size, _, at = self.tag(at, end)
        if kind != _INT8 or length < 1 or not size or size % length:
            raise ValueError('names of fields of another form')
        return at, size // length

    def _children(self, at: int, end: int, num: int, depth: int) -> int:
        if num > (end - at) // 8:
            raise ValueError('more elements than fit')
        for _ in range(num):
            kind, size, place, at = self.tag(at, end)
            if kind != _MATRIX:
                raise ValueError('no array in a cell or field')
            if size:
                self._matrix(place, place + size, depth + 1)
        return at

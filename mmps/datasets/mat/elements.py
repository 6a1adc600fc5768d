"""Elements of a MATLAB array: tags, and the values that they describe.

``scipy.io.loadmat`` trusts the types, lengths and counts that a file of
version 5 states; one wrong byte can end the process. Here an element is
checked before it is decoded: it lies within the element around it, its type
is known, and its length fits its dimensions. The values are those of scipy.
"""

import math
import struct

import numpy as np

MATRIX, STRUCT, CHAR = 14, 2, 4
_CELL = 1
_NUMERIC = range(6, 16)
_COMPLEX = 0x800
_INT8, _INT32, _UINT32, _UTF8 = 1, 5, 6, 16
_NUMBERS = {
    1: 'i1', 2: 'u1', 3: 'i2', 4: 'u2', 5: 'i4', 6: 'u4', 7: 'f4', 9: 'f8',
    12: 'i8', 13: 'u8',
}  # fmt: skip
_ENCODINGS = {
    1: 'utf-8', 2: 'utf-8', 4: 'utf-16', 16: 'utf-8', 17: 'utf-16',
    18: 'utf-32',
}  # fmt: skip
_USUAL_TAGS = (_UINT32, 8, _INT32, 8, _INT8, 0)
_MAX_DIMS = 32
_MAX_DEPTH = 16


class MatError(ValueError):
    """A file is damaged, or of a kind that is not read here."""


class Elements:
    """The elements of one array.

    Args:
        data: The array, without its tag.
        order: '<' or '>', the order of bytes.

    Raises:
        MatError: Of all methods: an element is not what it should be.
    """

    def __init__(self, data: bytes, order: str) -> None:
        self.data = data
        self._pair = struct.Struct(f'{order}II').unpack_from
        self._usual = struct.Struct(f'{order}6I2i2I').unpack_from
        self._order = order

    def words(self, at: int, end: int) -> tuple[int, int]:
        """Two words, such as a tag's."""
        if at + 8 > end:
            raise MatError('cut short')
        return self._pair(self.data, at)

    def _tag(self, at: int, end: int) -> tuple[int, int, int, int]:
        """Type, size and place of an element's data, and what follows."""
        kind, size = self.words(at, end)
        if kind >> 16:  # small: size and type in one word
            kind, size = kind & 0xFFFF, kind >> 16
            place, after = at + 4, at + 8
            if size > 4:
                raise MatError('a small element of more than four bytes')
        else:
            place = at + 8
            # The padding to eight bytes may be missing at the very end.
            after = min(place + (size + 7) // 8 * 8, end)
        if place + size > end:
            raise MatError('an element is longer than what holds it')
        return kind, size, place, after

    def head(
        self, at: int, end: int
    ) -> tuple[int, int, tuple[int, ...], str, int]:
        """Class, flags, dimensions and name of an array, and what follows."""
        if at + 40 <= end:
            # The usual head: two dimensions, no name.
            head = self._usual(self.data, at)
            tags = head[:2] + head[4:6] + head[8:]
            if tags == _USUAL_TAGS and min(head[6:8]) >= 0:
                return head[2] & 255, head[2], head[6:8], '', at + 40
        kind, size, place, at = self._tag(at, end)
        if kind != _UINT32 or size != 8:
            raise MatError('flags of another form')
        flags = self.words(place, end)[0]
        kind, size, place, at = self._tag(at, end)
        if kind != _INT32 or size % 4 or not 8 <= size <= 4 * _MAX_DIMS:
            raise MatError('dimensions of another form')
        form = f'{self._order}{size // 4}i'
        dims = struct.unpack_from(form, self.data, place)
        if min(dims) < 0:
            raise MatError(f'dimensions {dims}')
        kind, size, place, at = self._tag(at, end)
        if kind not in (_INT8, _UTF8):
            raise MatError('a name of another form')
        name = self.data[place : place + size].decode('latin1')
        return flags & 255, flags, dims, name, at

    def fields(self, at: int, end: int) -> tuple[list[str], int]:
        """Names of a struct's fields, and what follows them."""
        kind, size, place, at = self._tag(at, end)
        if kind != _INT32 or size != 4:
            raise MatError('fields of another form')
        form = f'{self._order}i'
        (length,) = struct.unpack_from(form, self.data, place)
        kind, size, place, at = self._tag(at, end)
        if kind != _INT8 or length < 1 or not size or size % length:
            raise MatError('names of fields of another form')
        names = [
            self.data[i : i + length].partition(b'\0')[0].decode()
            for i in range(place, place + size, length)
        ]
        if len(set(names)) < len(names):
            raise MatError('a field occurs twice')
        return names, at

    def value(self, at: int, end: int, depth: int = 0) -> np.ndarray:
        """What the array between two places holds; it has to fill them."""
        if at == end:
            return np.zeros((1, 0))
        if depth > _MAX_DEPTH:
            raise MatError('cells within cells within cells')
        kind, flags, dims, _, at = self.head(at, end)
        num = math.prod(dims)
        if kind in _NUMERIC:
            value, at = self._numbers(at, end, num)
            if flags & _COMPLEX:
                value = value.astype(complex)
                value.imag, at = self._numbers(at, end, num)
        elif kind == CHAR:
            value, at = self._letters(at, end, num)
        elif kind == _CELL:
            value, at = self._children(at, end, num, depth)
        elif kind == STRUCT:
            names, at = self.fields(at, end)
            found, at = self._children(at, end, num * len(names), depth)
            value = np.empty(num, [(name, object) for name in names])
            for i, name in enumerate(names):
                value[name] = found[i :: len(names)]
        else:
            raise MatError('a sparse array, function or object')
        if at != end:
            raise MatError('bytes that belong to nothing')
        value = value.reshape(dims, order='F')
        return _strings(value) if kind == CHAR else value

    def _numbers(self, at: int, end: int, num: int) -> tuple[np.ndarray, int]:
        kind, size, place, after = self._tag(at, end)
        dtype = np.dtype(_NUMBERS.get(kind, 'V1'))
        if kind not in _NUMBERS or size != num * dtype.itemsize:
            raise MatError('numbers of another length than they should be')
        stored = dtype.newbyteorder(self._order)
        values = np.frombuffer(self.data, stored, num, place)
        return values.astype(dtype), after

    def _letters(self, at: int, end: int, num: int) -> tuple[np.ndarray, int]:
        kind, size, place, after = self._tag(at, end)
        if kind not in _ENCODINGS:
            raise MatError('a text of another form')
        encoding = _ENCODINGS[kind]
        if encoding != 'utf-8':
            encoding += '-le' if self._order == '<' else '-be'
        text = self.data[place : place + size].decode(encoding, 'replace')
        if len(text) < num:
            raise MatError('a text of another length')
        return np.array(list(text[:num]), 'U1'), after

    def _children(
        self, at: int, end: int, num: int, depth: int
    ) -> tuple[np.ndarray, int]:
        """(num,) arrays, one after another."""
        if num > (end - at) // 8:
            raise MatError('more elements than fit')
        found = np.empty(num, object)
        for i in range(num):
            kind, size, place, at = self._tag(at, end)
            if kind != MATRIX:
                raise MatError('no array in a cell or field')
            found[i] = self.value(place, place + size, depth + 1)
        return found, at


def _strings(letters: np.ndarray) -> np.ndarray:
    """Texts along the last axis."""
    if not letters.size:
        return np.zeros(0, 'U1')
    letters = np.ascontiguousarray(letters)
    return letters.view(f'U{letters.shape[-1]}')[..., 0]

"""Tests of the MATLAB reader: as scipy's, and no crash on damaged files."""

import io
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.io import loadmat, savemat
from scipy.sparse import csc_matrix

from mmps.datasets import DatasetError, PRWDataset
from mmps.datasets.errors import FaultList
from mmps.datasets.mat.elements import MatError
from mmps.datasets.mat.mat_files import cell_strings, read_mat
from mmps.datasets.mat.variables import Variables

ROWS = np.array([[7, 10.5, 20.25, 30, 60], [-2, 50, 10, 20, 45.5]])


def mat(compress: bool = False, format: str = '5', **values: object) -> bytes:
    out = io.BytesIO()
    savemat(out, values, do_compression=compress, format=format)
    return out.getvalue()


def nested(value: object, depth: int) -> np.ndarray:
    for _ in range(depth):
        cell = np.empty((1, 1), object)
        cell[0, 0] = value
        value = cell
    return value


def people() -> np.ndarray:
    rows = np.empty((1, 2), [('name', object), ('box', object)])
    rows[0, 0] = 'a.jpg', np.array([[1, 2, 3, 4]], np.uint16)
    rows[0, 1] = 'b\u00fc.jpg', np.zeros((0, 0))
    return rows


def cells(values: list) -> np.ndarray:
    out = np.empty((1, len(values)), object)
    for i, value in enumerate(values):
        out[0, i] = value
    return out


def struct_of(rows: list[tuple]) -> np.ndarray:
    out = np.empty((1, len(rows)), [('a', object), ('long_name', object)])
    for i, row in enumerate(rows):
        out[0, i] = row
    return out


CONTENTS = {
    'numbers': ROWS,
    'small': np.array([[3]], np.uint8),
    'empty': np.zeros((0, 5)),
    'complex': np.array([[1 + 2j, 3]]),
    'logical': np.array([[True, False]]),
    'three axes': np.zeros((2, 3, 4), np.int16),
    'text': 'c1s1_000151',
    'texts': np.array(['ab', 'cde']),
    'cells': nested('a', 3),
    'struct': people(),
    'int64': np.array([[2**62]]),
}


def read(data: bytes, name: str) -> np.ndarray:
    return Variables(io.BytesIO(data)).value(name)


def assert_same(found: object, expected: object) -> None:
    """Equal to what scipy reads, all that is inside included."""
    assert type(found) is type(expected)
    assert found.shape == expected.shape
    if expected.dtype.names:
        assert found.dtype.names == expected.dtype.names
        for name in expected.dtype.names:
            assert_same(found[name], expected[name])
    elif expected.dtype == object:
        assert found.dtype == object
        for pair in zip(found.ravel(), expected.ravel(), strict=True):
            assert_same(*pair)
    else:
        assert found.dtype.newbyteorder('=') == expected.dtype.newbyteorder(
            '='
        )
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('compress', [False, True])
@pytest.mark.parametrize('name', CONTENTS)
def test_what_is_whole_is_read_as_by_scipy(name: str, compress: bool) -> None:
    value = CONTENTS[name]
    data = mat(compress, before='x', wanted=value, after=ROWS)
    assert_same(read(data, 'wanted'), loadmat(io.BytesIO(data))['wanted'])


numbers = arrays(
    st.sampled_from([*np.typecodes['AllInteger'], *'fdD?']),
    array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=3),
)
texts = st.text(st.sampled_from('abc .\u00fc\u4e2d'), max_size=20)
values = st.recursive(
    numbers | texts,
    lambda inner: (
        st.lists(inner, max_size=4).map(cells)
        | st.lists(st.tuples(inner, inner), max_size=3).map(struct_of)
    ),
    max_leaves=12,
)


@given(values, st.booleans())
@settings(deadline=None, derandomize=True, max_examples=200)
def test_any_value_is_read_as_by_scipy(value: object, compress: bool) -> None:
    data = mat(compress, wanted=value)
    assert_same(read(data, 'wanted'), loadmat(io.BytesIO(data))['wanted'])


def test_order_of_preference(tmp_path: Path) -> None:
    path = tmp_path / 'two.mat'
    path.write_bytes(mat(b=ROWS, a=ROWS[:1]))
    faults = FaultList('two')
    assert read_mat(path, ('c', 'a', 'b'), faults).size == 5
    assert read_mat(path, ('b', 'a'), faults).size == 10
    assert not faults.lines
    assert read_mat(path, ('c',), faults) is None
    assert 'has no variable c' in faults.lines[0]


def test_big_endian() -> None:
    # As MATLAB on other machines wrote it: a 1 x 2 array of doubles.
    head = b'MATLAB 5.0'.ljust(124) + b'\x01\x00MI'
    body = struct.pack(
        '>IIII II ii II4s4x II2d',
        *(6, 8, 6, 0, 5, 8, 1, 2, 1, 1, b'x', 9, 16, 1.5, -2),
    )
    data = head + struct.pack('>II', 14, len(body)) + body
    assert read(data, 'x').tolist() == [[1.5, -2]]
    assert_same(read(data, 'x'), loadmat(io.BytesIO(data))['x'])


@pytest.mark.parametrize(
    ('kind', 'encoding'),
    [(1, 'utf-8'), (2, 'utf-8'), (16, 'utf-8'), (4, 'utf-16'),
     (17, 'utf-16'), (18, 'utf-32')],
)  # fmt: skip
@pytest.mark.parametrize('order', '<>')
def test_texts_of_every_type(kind: int, encoding: str, order: str) -> None:
    text = 'a\u00fcb'
    if encoding != 'utf-8':
        encoding += '-le' if order == '<' else '-be'
    coded = text.encode(encoding)
    body = struct.pack(
        f'{order}IIII II ii II4s4x II',
        *(6, 8, 4, 0, 5, 8, 1, 3, 1, 1, b'x', kind, len(coded)),
    ) + coded.ljust((len(coded) + 7) // 8 * 8, b'\0')
    mark = {'<': b'\0\1IM', '>': b'\1\0MI'}[order]
    data = b'MATLAB 5.0'.ljust(124) + mark
    data += struct.pack(f'{order}II', 14, len(body)) + body
    assert read(data, 'x').tolist() == [text]


def test_cell_without_an_array() -> None:
    """MATLAB may write an empty cell as an element of no bytes."""
    body = struct.pack(
        '<IIII II ii II4s4x II',
        *(6, 8, 1, 0, 5, 8, 1, 1, 1, 1, b'x', 14, 0),
    )
    data = b'MATLAB 5.0'.ljust(124) + b'\0\1IM'
    data += struct.pack('<II', 14, len(body)) + body
    assert read(data, 'x')[0, 0].shape == (1, 0)
    assert_same(read(data, 'x'), loadmat(io.BytesIO(data))['x'])


def test_strings_of_a_char_matrix() -> None:
    assert cell_strings(np.array(['ab ', 'c  '])) == ['ab', 'c']


def element(data: bytes, kind: int, size: int) -> int:
    """Place of the last tag of this type and size."""
    return data.rindex(struct.pack('<II', kind, size))


def patched(data: bytes, place: int, value: int) -> bytes:
    return data[:place] + struct.pack('<I', value) + data[place + 4 :]


def packed(array: bytes) -> bytes:
    """A compressed element."""
    content = zlib.compress(array)
    return struct.pack('<II', 15, len(content)) + content


NUMBERS = mat(box_new=ROWS)
TYPE = element(NUMBERS, 9, 80)
CELLS = mat(box_new=nested('ab', 1))
STRUCT = mat(box_new=people())
FIELD = STRUCT.index(struct.pack('<I', 4 << 16 | 5))
TEXT = mat(box_new='ab')
CODED = struct.pack('<I', 2 << 16 | 16)  # two bytes of UTF-8
UNPACKED = zlib.decompress(mat(True, box_new=ROWS)[136:])
DAMAGED = {
    # Each of these ended the process inside scipy 1.17, or may do so.
    'type without a meaning': patched(NUMBERS, TYPE, 8),
    'type beyond all': patched(NUMBERS, TYPE, 40_000),
    'type of a matrix': patched(NUMBERS, TYPE, 14),
    'fields of no length': patched(STRUCT, FIELD + 4, 0),
    'fields of negative length': patched(STRUCT, FIELD + 4, 2**32 - 1),
    'longer than the file': patched(NUMBERS, TYPE + 4, 2**31),
    'shorter than its dimensions': patched(NUMBERS, TYPE + 4, 8),
    'more dimensions than any': patched(NUMBERS, 156, 4 * 40),
    'negative side': patched(NUMBERS, 160, 2**32 - 5),
    'endless sides': patched(patched(NUMBERS, 160, 2**31 - 1), 164, 2**31 - 1),
    'more cells than bytes': patched(CELLS, 160, 10_000),
    'other class': patched(NUMBERS, 144, 17),
    'class of cells': patched(NUMBERS, 144, 1),
    'no flags': patched(NUMBERS, 136, 9),
    'cells in cells in cells': mat(box_new=nested('a', 40)),
    'a sparse array': mat(box_new=csc_matrix(np.eye(3))),
    'a field twice': STRUCT.replace(b'box\0\0', b'name\0'),
    'bytes behind the numbers': patched(NUMBERS, 132, len(NUMBERS) - 128)
    + bytes(8),
    'bytes behind what was packed': mat(True, box_new=ROWS)[:128]
    + packed(UNPACKED + bytes(8)),
    'a text of numbers': TEXT.replace(CODED, struct.pack('<I', 2 << 16 | 9)),
    'a text of another length': patched(TEXT, 164, 3),
    'cut short': NUMBERS[:-8],
    'cut in a tag': NUMBERS[:133],
    'a variable twice': NUMBERS + NUMBERS[128:],
    'no zlib': patched(mat(True, box_new=ROWS), 136, 0),
    'version 4': mat(format='4', box_new=ROWS),
    # scipy reads any numbers out of this one, and only warns.
    'version 4 of a VAX': patched(mat(format='4', box_new=ROWS), 0, 2000),
    'version 5 that begins with zero': b'\0' + NUMBERS[1:],
    'no version': NUMBERS[:124] + b'\0\3IM' + NUMBERS[128:],
    'empty': b'',
}


@pytest.mark.parametrize('name', DAMAGED)
def test_damage_is_a_fault_and_no_crash(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'damaged.mat'
    path.write_bytes(DAMAGED[name])
    faults = FaultList('damaged')
    assert read_mat(path, ('box_new',), faults) is None
    (line,) = faults.lines
    assert line.startswith(f'{path}: ')


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('a field twice', 'a field occurs twice'),
        ('bytes behind the numbers', 'bytes that belong to nothing'),
        ('bytes behind what was packed', 'bytes that belong to nothing'),
        ('a text of numbers', 'a text of another form'),
        ('a text of another length', 'a text of another length'),
    ],
)
def test_reasons(name: str, reason: str) -> None:
    with pytest.raises(MatError, match=reason):
        read(DAMAGED[name], 'box_new')


def test_hdf5_is_told_apart(tmp_path: Path) -> None:
    path = tmp_path / 'new.mat'
    path.write_bytes(b'MATLAB 7.3 MAT-file'.ljust(124) + b'\0\2IM\x89HDF')
    faults = FaultList('new')
    assert read_mat(path, ('box_new',), faults) is None
    assert 'HDF5 form of MATLAB 7.3' in faults.lines[0]


def test_scipy_crashes_on_one_byte(tmp_path: Path) -> None:
    """Why all this is done; where it no longer crashes, it can go."""
    path = tmp_path / 'damaged.mat'
    path.write_bytes(DAMAGED['type without a meaning'])
    code = f'import scipy.io; scipy.io.loadmat({str(path)!r})'
    done = subprocess.run([sys.executable, '-c', code], capture_output=True)
    if done.returncode >= 0:
        pytest.skip('this scipy refuses it')
    assert done.returncode == -11


def test_traps_are_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmps.utils.files._ALWAYS', 2**20)
    size = 16 * 2**20
    packer = zlib.compressobj()
    head = struct.pack(
        '<II II2I IIii II4s4x II',
        *(14, size - 8, 6, 8, 6, 0, 5, 8, 1, (size - 64) // 8, 1, 1, b'x'),
        *(9, size - 64),
    )
    packed = packer.compress(head)
    for _ in range(size // 2**20):
        packed += packer.compress(bytes(2**20))
    packed += packer.flush()
    data = NUMBERS[:128] + struct.pack('<II', 15, len(packed)) + packed
    with pytest.raises(MatError, match='too large when decompressed'):
        read(data, 'x')


def test_checksum_of_what_is_compressed() -> None:
    data = bytearray(mat(True, box_new=ROWS))
    data[-1] ^= 1
    with pytest.raises(MatError, match='incorrect data check'):
        read(bytes(data), 'box_new')


def test_every_byte_may_be_any(tmp_path: Path) -> None:
    """One byte of an annotation after another; the process survives."""
    path = tmp_path / 'damaged.mat'
    seen = {'read': 0, 'fault': 0}
    for place in range(124, len(NUMBERS)):
        for value in (8, 255):
            path.write_bytes(
                NUMBERS[:place] + bytes([value]) + NUMBERS[place + 1 :]
            )
            faults = FaultList('damaged')
            found = read_mat(path, ('box_new',), faults)
            seen['fault' if found is None else 'read'] += 1
            assert (found is None) == (len(faults) == 1)
    assert min(seen.values()) > 50


def test_a_data_set_with_a_damaged_file(write_prw: Callable) -> None:
    root = write_prw()
    path = root / 'annotations/c1s1_000001.jpg.mat'
    data = path.read_bytes()
    path.write_bytes(patched(data, element(data, 9, 80), 8))
    with pytest.raises(DatasetError, match='c1s1_000001.jpg.mat: cannot be'):
        PRWDataset(root)
